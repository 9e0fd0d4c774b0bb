"""Load balancers use TLS on both sides and find their droplets by tag.

TLS runs from the client to the load balancer, and from there to nginx. The uuid of a certificate changes when it is
renewed, its name does not (docs/digitalocean.md). Terraform makes the DNS records, so the load balancer must not. A
list of droplet ids is outdated as soon as a droplet is replaced.
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, block, blocks, is_set, is_true

TLS_ENTRIES = ("https", "http2", "http3")
TLS_TARGETS = ("https", "http2")


def problems(balancer: Block) -> Iterator[str]:
    """What is wrong with one load balancer."""
    if not is_set(balancer.get("vpc_uuid")):
        yield "set vpc_uuid"
    if not is_true(balancer.get("redirect_http_to_https")):
        yield "set redirect_http_to_https = true"
    if balancer.get("tls_cipher_policy") != "STRONG":
        yield "set tls_cipher_policy = STRONG"
    if not is_true(balancer.get("disable_lets_encrypt_dns_records")):
        yield "set disable_lets_encrypt_dns_records = true: Terraform owns the records"
    if not is_set(balancer.get("droplet_tag")) or balancer.get("droplet_ids"):
        yield "name the backends by droplet_tag, not by droplet_ids"
    health = block(balancer, "healthcheck")
    if health.get("protocol") != "https" or health.get("path") != "/healthz":
        yield "set healthcheck to protocol https and path /healthz"
    rules = blocks(balancer, "forwarding_rule")
    if not any(rule.get("entry_protocol") in TLS_ENTRIES for rule in rules):
        yield "has no https forwarding_rule"
    for rule in rules:
        yield from _of_rule(rule)


def _of_rule(rule: Block) -> Iterator[str]:
    entry = rule.get("entry_protocol")
    where = f"forwarding_rule {entry}:{rule.get('entry_port')}"
    if entry not in (*TLS_ENTRIES, "http"):
        yield f"{where}: entry_protocol must be one of http, https, http2, http3"
    if rule.get("target_protocol") not in TLS_TARGETS:
        yield f"{where}: target_protocol is {rule.get('target_protocol')!r}; use https or http2"
    if entry in TLS_ENTRIES and not is_set(rule.get("certificate_name")):
        yield f"{where}: set certificate_name"
    if rule.get("certificate_id"):
        yield f"{where}: certificate_id changes at every renewal; use certificate_name"


check = ResourcePolicy(
    "CKV_P360_5",
    "Load balancers use TLS to the client and to the droplet, and find droplets by tag",
    ["digitalocean_loadbalancer"],
    problems,
)
