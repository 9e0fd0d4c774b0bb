"""Certificates are replaced without a gap, and no plan shows a difference that is not there.

Every argument of a certificate forces its replacement, and a certificate in use cannot be deleted, so the new one is
made first. A wildcard without its base domain shows a difference in every plan (docs/digitalocean.md).
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, is_set, is_true, items, lifecycle


def problems(certificate: Block) -> Iterator[str]:
    """What is wrong with one certificate."""
    if not is_true(lifecycle(certificate).get("create_before_destroy")):
        yield "set lifecycle.create_before_destroy = true"
    if certificate.get("type") != "lets_encrypt":
        yield f"type is {certificate.get('type')!r}; use lets_encrypt, which renews itself"
    domains = [domain for domain in items(certificate.get("domains")) if is_set(domain)]
    if not domains:
        yield "list its domains"
    for domain in domains:
        if domain.startswith("*.") and domain.removeprefix("*.") not in domains:
            yield f"list {domain.removeprefix('*.')} beside {domain}"


check = ResourcePolicy(
    "CKV_P360_9",
    "Certificates are Let's Encrypt, replaced without a gap, and list the base domain beside a wildcard",
    ["digitalocean_certificate"],
    problems,
)
