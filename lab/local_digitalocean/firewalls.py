"""Cloud firewalls."""

import re

from lab.local_digitalocean.errors import CONFLICT, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record

routes = Routes()

_FIREWALL_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9.-]+$")  # OpenAPI document, schema "firewall"
# Documentation, Cloud Firewalls, "Limits".
MOST_FIREWALL_RULES, MOST_FIREWALL_TAGS, MOST_FIREWALL_DROPLETS = 50, 5, 10

FIREWALL = "/v2/firewalls/{firewall_id}"
routes.lists("/v2/firewalls", "firewalls", "firewalls")
routes.shows(FIREWALL, "firewalls", "firewall")
routes.deletes(FIREWALL, "firewalls")


@routes.add("POST", "/v2/firewalls")
def _create_firewall(request: Request) -> Answer:
    account = request.account
    firewall = _firewall(request)
    account.unique("firewalls", firewall["name"], CONFLICT, "duplicate name")
    firewall |= {"id": account.uuid(), "created_at": account.clock.stamp()}
    account.tables["firewalls"][firewall["id"]] = firewall
    account.schedule(account.durations.firewall, "firewalls", firewall["id"], status="succeeded")
    return 202, {"firewall": firewall}


@routes.add("PUT", FIREWALL)
def _update_firewall(request: Request) -> Answer:
    account = request.account
    firewall = account.get("firewalls", request.parts["firewall_id"])
    wanted = _firewall(request)
    account.unique("firewalls", wanted["name"], CONFLICT, "duplicate name", but=firewall["id"])
    firewall.update(wanted)
    account.schedule(account.durations.firewall, "firewalls", firewall["id"], status="succeeded")
    return 200, {"firewall": firewall}


def _firewall(request: Request) -> Record:
    """Check a requested firewall; return it as the API stores it."""
    request.need("name")
    account, body = request.account, request.body
    if not _FIREWALL_NAME.match(body["name"]):
        raise unprocessable("name is invalid")
    inbound, outbound = body.get("inbound_rules") or [], body.get("outbound_rules") or []
    if not inbound and not outbound:
        raise unprocessable("must have at least one rule")
    if len(inbound) + len(outbound) > MOST_FIREWALL_RULES:
        raise unprocessable(f"exceeds the maximum of {MOST_FIREWALL_RULES} rules")
    tags, droplets = body.get("tags") or [], body.get("droplet_ids") or []
    if len(tags) > MOST_FIREWALL_TAGS or len(droplets) > MOST_FIREWALL_DROPLETS:
        raise unprocessable("exceeds the maximum of 5 tags or 10 droplets")
    for droplet in droplets:
        account.referred("droplets", droplet, f"droplet {droplet} not found")
    for tag in tags:
        account.referred("tags", tag, f"tag {tag} not found")
    return {
        "name": body["name"],
        "status": "waiting",
        "inbound_rules": [_rule(account, rule, "sources") for rule in inbound],
        "outbound_rules": [_rule(account, rule, "destinations") for rule in outbound],
        "droplet_ids": droplets,
        "tags": tags,
        "pending_changes": [],
    }


def _rule(account: Account, rule: Record, ends: str) -> Record:
    if rule.get("protocol") not in {"tcp", "udp", "icmp"}:
        raise unprocessable("protocol must be tcp, udp or icmp")
    found = rule.get(ends) or {}
    for tag in found.get("tags") or []:
        account.referred("tags", tag, f"tag {tag} not found")
    for balancer in found.get("load_balancer_uids") or []:
        account.referred("load_balancers", balancer, f"load balancer {balancer} not found")
    ports = rule.get("ports", "0")
    # The API answers 0 for "all" (the provider's firewall/firewalls.go).
    return {"protocol": rule["protocol"], "ports": "0" if ports == "all" else ports, ends: found}
