"""What goes wrong with names, load balancers, droplets, and who reaches them."""

from typing import Any

from lab.checked.breaking import Undo, balancer, breaks, change
from lab.checked.estate import Estate
from ops.check.finding import Colour


@breaks("delegation", "the registrar names other servers")
def _(estate: Estate) -> Undo:
    return change(estate, "delegated", frozenset({"ns1.registrar.example"}))


@breaks("names", "a name points elsewhere")
def _(estate: Estate) -> Undo:
    path = f"/v2/domains/{estate.plan.edge.base_domain}/records"
    record = next(one for one in estate.all(path, "domain_records") if one["name"] == "api")
    estate.ask("PUT", f"{path}/{record['id']}", {**record, "data": "192.0.2.9"})
    return lambda: estate.ask("PUT", f"{path}/{record['id']}", record)


@breaks("load-balancers", "a load balancer takes weak ciphers")
def _(estate: Estate) -> Undo:
    return balancer(estate, tls_cipher_policy="DEFAULT")


@breaks("certificates", "the certificate ends in 3 days")
def _(estate: Estate) -> Undo:
    return change(estate.front, "days", 3)


@breaks("certificates", "the certificate is for other names")
def _(estate: Estate) -> Undo:
    return change(estate.front, "names", ["elsewhere.example"])


@breaks("redirects", "http is answered without a redirect")
def _(estate: Estate) -> Undo:
    return change(estate.front, "redirects", False)


@breaks("tls", "TLS 1.0 is taken")
def _(estate: Estate) -> Undo:
    return change(estate.front, "takes_old_tls", True)


@breaks("answers", "the health check answers 502")
def _(estate: Estate) -> Undo:
    return change(estate.front, "statuses", {"/healthz": 502})


@breaks("watchdog", "alerts do not arrive")
def _(estate: Estate) -> Undo:
    return change(estate.front, "statuses", {"/watchdog": 503})


def _front_droplet(estate: Estate) -> dict[str, Any]:
    tag = estate.plan.network.group_tags[estate.plan.edge.load_balancers[0].group]
    return next(one for one in estate.all("/v2/droplets", "droplets") if tag in one["tags"])


@breaks("health", "a droplet fails its health checks")
def _(estate: Estate) -> Undo:
    path = f"/_local/droplets/{_front_droplet(estate)['id']}"
    estate.ask("PUT", path, {"healthy": False})
    return lambda: estate.ask("PUT", path, {"healthy": True})


@breaks("releases", "a service on a droplet is unhealthy")
def _(estate: Estate) -> Undo:
    path = f"/_local/droplets/{_front_droplet(estate)['id']}"
    estate.ask("PUT", path, {"healthy": False})
    return lambda: estate.ask("PUT", path, {"healthy": True})


@breaks("droplets", "a droplet loses the tag of its group's plane, by which nothing else finds it")
def _(estate: Estate) -> Undo:
    droplet = _front_droplet(estate)
    tag = next(one for one in droplet["tags"] if "-plane-" in one)
    resources = {"resources": [{"resource_id": str(droplet["id"]), "resource_type": "droplet"}]}
    estate.ask("DELETE", f"/v2/tags/{tag}/resources", resources)
    return lambda: estate.ask("POST", f"/v2/tags/{tag}/resources", resources)


@breaks("firewalls", "another firewall lets everybody in to SSH")
def _(estate: Estate) -> Undo:
    rule = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
    wanted = {
        "name": "opened-by-hand",
        "inbound_rules": [rule],
        "tags": [estate.plan.network.environment_tag],
    }
    made = estate.ask("POST", "/v2/firewalls", wanted)["firewall"]
    return lambda: estate.ask("DELETE", f"/v2/firewalls/{made['id']}")


@breaks("networks", "a load balancer answers on another port")
def _(estate: Estate) -> Undo:
    found = estate.named("/v2/load_balancers", "load_balancers", estate.plan.edge.load_balancers[0].name)
    return balancer(estate, forwarding_rules=[
        *found["forwarding_rules"],
        {"entry_protocol": "tcp", "entry_port": 9000, "target_protocol": "tcp", "target_port": 9000},
    ])  # fmt: skip


@breaks("outside", "a droplet answers on port 9360")
def _(estate: Estate) -> Undo:
    networks = _front_droplet(estate)["networks"]["v4"]
    address = next(str(one["ip_address"]) for one in networks if one["type"] == "public")
    return change(estate, "open", {(address, 9360)})


@breaks("outside", "it runs at an administrator's address, and nothing is claimed", Colour.YELLOW)
def _(estate: Estate) -> Undo:
    return change(estate, "seen_as", str(estate.environment.file.network.admin_cidrs[0].network_address))
