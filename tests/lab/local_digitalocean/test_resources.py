"""How resources behave: states that pass, names that are taken, references that must exist, what is in use."""

import pytest

from lab.local_digitalocean.monitoring import HEALTH
from tests.lab.local_digitalocean.client import KEY, Api


def status(api: Api, path: str, key: str) -> str:
    return str(api.do("GET", path)[key]["status"])


def test_a_droplet_is_new_and_locked_before_it_is_active_with_addresses(api: Api) -> None:
    vpc = api.vpc()
    made = api.droplet(vpc_uuid=vpc["id"])
    assert (made["status"], made["locked"], made["networks"]) == ("new", True, {"v4": [], "v6": []})
    api.wait(1.9)
    assert status(api, f"/v2/droplets/{made['id']}", "droplet") == "new"
    api.wait(0.2)
    droplet = api.do("GET", f"/v2/droplets/{made['id']}")["droplet"]
    assert (droplet["status"], droplet["locked"]) == ("active", False)
    addresses = {one["type"]: one["ip_address"] for one in droplet["networks"]["v4"]}
    assert addresses["private"].startswith("10.60.0.")
    assert addresses["public"].startswith("203.0.113.")


def test_a_droplet_shuts_down_before_it_is_off_and_takes_no_other_action_meanwhile(api: Api) -> None:
    path = f"/v2/droplets/{api.droplet()['id']}"
    api.refused(422, "POST", f"{path}/actions", {"type": "shutdown"})
    api.wait()
    action = api.do("POST", f"{path}/actions", {"type": "shutdown"})
    assert action["status"] == "in-progress"
    assert status(api, path, "droplet") == "active"
    api.refused(422, "DELETE", path)
    api.wait()
    assert status(api, path, "droplet") == "off"
    assert status(api, f"/v2/actions/{action['id']}", "action") == "completed"
    assert (
        api.refused(422, "POST", f"{path}/actions", {"type": "power_off"})
        == "Droplet is already powered off."
    )


def test_a_droplet_is_resized_when_it_is_off_and_never_to_a_smaller_disk(api: Api) -> None:
    path = f"/v2/droplets/{api.droplet(size='s-2vcpu-4gb')['id']}"
    api.wait()
    resize = {"type": "resize", "size": "s-4vcpu-8gb", "disk": False}
    api.refused(422, "POST", f"{path}/actions", resize)
    api.do("POST", f"{path}/actions", {"type": "power_off"})
    api.wait()
    api.refused(422, "POST", f"{path}/actions", {**resize, "size": "s-1vcpu-1gb"})
    api.do("POST", f"{path}/actions", resize)
    api.wait()
    droplet = api.do("GET", path)["droplet"]
    assert (droplet["size_slug"], droplet["memory"], droplet["disk"]) == ("s-4vcpu-8gb", 8192, 80)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": "huge"}, "You specified an invalid size for Droplet creation."),
        ({"image": "windows"}, "You specified an invalid image for Droplet creation."),
        ({"region": "mars1"}, "You specified an invalid region for Droplet creation."),
        ({"vpc_uuid": "nowhere"}, "You specified an invalid VPC for Droplet creation."),
        ({"ssh_keys": [7]}, "7 are invalid key identifiers for Droplet creation."),
        ({"name": "a_b"}, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
        ({"user_data": "x" * (64 * 1024 + 1)}, "User data cannot be larger than 64KB"),
    ],
)
def test_a_droplet_that_cannot_be_is_refused(api: Api, wrong: dict[str, object], message: str) -> None:
    wanted = {"name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", **wrong}
    assert api.refused(422, "POST", "/v2/droplets", wanted) == message
    assert api.do("GET", "/v2/droplets")["droplets"] == []


def test_an_account_has_so_many_droplets_and_no_more(api: Api) -> None:
    limit = api.do("GET", "/v2/account")["account"]["droplet_limit"]
    for number in range(limit):
        api.droplet(name=f"web-{number}")
    wanted = {"name": "one-more", "region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}
    assert "exceed your droplet limit" in api.refused(422, "POST", "/v2/droplets", wanted)


def test_tags_on_a_droplet_come_to_be_and_are_counted(api: Api) -> None:
    api.droplet(tags=["web"])
    assert api.do("GET", "/v2/tags/web")["tag"]["resources"]["droplets"]["count"] == 1
    api.do("DELETE", "/v2/tags/web")
    assert api.do("GET", "/v2/droplets")["droplets"][0]["tags"] == []


def test_vpcs_do_not_overlap_nor_touch_reserved_ranges_and_the_first_is_the_default(api: Api) -> None:
    first = api.vpc()
    second = api.vpc("second", "10.61.0.0/20")
    assert (first["default"], second["default"]) == (True, False)
    for ip_range in ("10.60.8.0/24", "10.244.1.0/24", "10.19.0.0/20", "10.62.0.0/29", "192.0.2.0/24", "x"):
        api.refused(422, "POST", "/v2/vpcs", {"name": "third", "region": "fra1", "ip_range": ip_range})
    api.refused(409, "POST", "/v2/vpcs", {"name": "second", "region": "fra1", "ip_range": "10.62.0.0/20"})
    assert api.refused(403, "DELETE", f"/v2/vpcs/{first['id']}") == "Can not delete default VPCs"


def test_a_vpc_with_members_stays(api: Api) -> None:
    api.vpc()
    vpc = api.vpc("second", "10.61.0.0/20")
    droplet = api.droplet(vpc_uuid=vpc["id"])
    api.wait()
    assert api.refused(409, "DELETE", f"/v2/vpcs/{vpc['id']}") == "Can not delete VPC with members"
    urns = [one["urn"] for one in api.do("GET", f"/v2/vpcs/{vpc['id']}/members")["members"]]
    assert urns == [f"do:droplet:{droplet['id']}"]
    api.do("DELETE", f"/v2/droplets/{droplet['id']}")
    api.do("DELETE", f"/v2/vpcs/{vpc['id']}")


def test_an_ssh_key_is_there_once_under_its_fingerprint(api: Api) -> None:
    key = api.do("POST", "/v2/account/keys", {"name": "ops", "public_key": KEY})
    assert key["fingerprint"].count(":") == 15
    api.refused(422, "POST", "/v2/account/keys", {"name": "again", "public_key": KEY})
    api.refused(422, "POST", "/v2/account/keys", {"name": "odd", "public_key": "nonsense"})
    assert api.droplet(ssh_keys=[key["fingerprint"]])["status"] == "new"


def test_a_firewall_needs_what_it_names_and_a_name_of_its_own(api: Api) -> None:
    rule = {"protocol": "tcp", "ports": "443", "sources": {"tags": ["web"]}}
    wanted = {"name": "web", "inbound_rules": [rule]}
    assert api.refused(422, "POST", "/v2/firewalls", wanted) == "tag web not found"
    api.do("POST", "/v2/tags", {"name": "web"})
    made = api.do("POST", "/v2/firewalls", wanted)
    assert made["status"] == "waiting"
    assert api.refused(409, "POST", "/v2/firewalls", wanted) == "duplicate name"
    missing = {**rule, "sources": {"load_balancer_uids": ["none"]}}
    api.refused(422, "POST", "/v2/firewalls", {"name": "other", "inbound_rules": [missing]})
    api.refused(422, "POST", "/v2/firewalls", {"name": "other"})
    api.refused(
        422,
        "POST",
        "/v2/firewalls",
        {"name": "other", "inbound_rules": [{**rule, "ports": str(n)} for n in range(51)]},
    )
    api.wait()
    assert status(api, f"/v2/firewalls/{made['id']}", "firewall") == "succeeded"


def test_records_are_stored_without_their_dot_and_refused_without_it(api: Api) -> None:
    api.do("POST", "/v2/domains", {"name": "example.com"})
    api.refused(422, "POST", "/v2/domains", {"name": "example.com"})
    records = "/v2/domains/example.com/records"
    assert {one["type"] for one in api.do("GET", records)["domain_records"]} == {"SOA", "NS"}
    cname = {"type": "CNAME", "name": "www", "data": "example.com"}
    assert api.refused(422, "POST", records, cname) == "Data needs to end with a dot (.)"
    assert api.do("POST", records, {**cname, "data": "example.com."})["data"] == "example.com"
    api.refused(422, "POST", records, {"type": "A", "name": "www", "data": "192.0.2.1"})
    api.refused(422, "POST", records, {"type": "A", "name": "short", "data": "192.0.2.1", "ttl": 29})
    api.do("DELETE", "/v2/domains/example.com")
    api.refused(404, "GET", records)


def test_a_certificate_is_pending_then_verified_and_stays_while_it_is_used(api: Api) -> None:
    wanted = {"name": "edge", "type": "lets_encrypt", "dns_names": ["example.com", "*.example.com"]}
    assert "is not managed by DigitalOcean DNS" in api.refused(422, "POST", "/v2/certificates", wanted)
    api.do("POST", "/v2/domains", {"name": "example.com"})
    certificate = api.certificate("edge", *wanted["dns_names"])
    assert certificate["state"] == "pending"
    api.refused(422, "POST", "/v2/certificates", wanted)
    rule = {"entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443}
    pending = {
        "name": "front",
        "region": "fra1",
        "forwarding_rules": [{**rule, "certificate_id": certificate["id"]}],
    }
    assert "is pending" in api.refused(422, "POST", "/v2/load_balancers", pending)
    api.wait()
    balancer = api.balancer(certificate["id"])
    in_use = api.refused(403, "DELETE", f"/v2/certificates/{certificate['id']}")
    assert in_use == "Make sure the certificate is not in use before deleting it"
    api.do("DELETE", f"/v2/load_balancers/{balancer['id']}")
    api.do("DELETE", f"/v2/certificates/{certificate['id']}")


@pytest.fixture
def front(api: Api) -> dict[str, str]:
    """A load balancer that finds its droplets by the tag `web`."""
    api.do("POST", "/v2/domains", {"name": "example.com"})
    certificate = api.certificate()
    api.wait()
    made: dict[str, str] = api.balancer(certificate["id"], tag="web")
    return made


def test_a_load_balancer_is_new_without_an_address_before_it_is_active(
    api: Api, front: dict[str, str]
) -> None:
    assert (front["status"], front["ip"]) == ("new", "")
    api.wait()
    found = api.do("GET", f"/v2/load_balancers/{front['id']}")["load_balancer"]
    assert (found["status"], found["ip"]) == ("active", "198.51.100.1")


def test_a_load_balancer_calls_a_droplet_healthy_some_time_after_it_is_active(
    api: Api, front: dict[str, str]
) -> None:
    droplet = api.droplet(tags=["web"])
    api.droplet(name="other", tags=["other"])

    def health() -> dict[str, str]:
        result = api.do("GET", f"{HEALTH}?lb_id={front['id']}&start=0&end=1")["data"]["result"]
        return {one["metric"]["droplet_id"]: one["values"][-1][1] for one in result}

    assert health() == {str(droplet["id"]): "0"}
    api.wait(2.1)
    assert health() == {str(droplet["id"]): "0"}
    api.wait(3.1)
    assert health() == {str(droplet["id"]): "100"}
    api.do("POST", f"/v2/droplets/{droplet['id']}/actions", {"type": "shutdown"})
    api.wait()
    assert health() == {str(droplet["id"]): "0"}
    assert api.do("GET", f"/v2/load_balancers/{front['id']}")["load_balancer"]["droplet_ids"] == [
        droplet["id"]
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "front"},
        {"forwarding_rules": []},
        {
            "forwarding_rules": [
                {"entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443}
            ]
        },
        {
            "forwarding_rules": [
                {"entry_protocol": "tcp", "entry_port": 50053, "target_protocol": "tcp", "target_port": 1}
            ]
        },
        {
            "forwarding_rules": [
                {"entry_protocol": "gopher", "entry_port": 1, "target_protocol": "tcp", "target_port": 1}
            ]
        },
        {"health_check": {"check_interval_seconds": 2}},
        {"size_unit": 101},
        {"droplet_ids": [1]},
        {"vpc_uuid": "none"},
    ],
)
def test_a_load_balancer_that_cannot_be_is_refused(
    api: Api, front: dict[str, str], wrong: dict[str, object]
) -> None:
    rule = {"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}
    wanted = {"name": "second", "region": "fra1", "forwarding_rules": [rule], **wrong}
    api.refused(409 if wrong == {"name": front["name"]} else 422, "POST", "/v2/load_balancers", wanted)


def test_a_pool_keeps_as_many_droplets_as_it_is_told(api: Api) -> None:
    template = {
        "region": "fra1",
        "size": "s-1vcpu-1gb",
        "image": "debian-13-x64",
        "ssh_keys": [],
        "tags": ["web"],
    }
    dynamic = {"min_instances": 2, "max_instances": 3, "target_cpu_utilization": 0.6}
    wanted = {"name": "web", "config": dynamic, "droplet_template": template}
    pool = api.do("POST", "/v2/droplets/autoscale", wanted)
    path = f"/v2/droplets/autoscale/{pool['id']}"
    members = api.do("GET", f"{path}/members")["droplets"]
    assert [one["status"] for one in members] == ["provisioning"] * 2
    api.wait()
    assert [one["status"] for one in api.do("GET", f"{path}/members")["droplets"]] == ["active"] * 2
    api.do("PUT", path, {**wanted, "config": {"target_number_instances": 1}})
    kept = [one["droplet_id"] for one in api.do("GET", f"{path}/members")["droplets"]]
    assert kept == [members[0]["droplet_id"]]
    api.do("PUT", path, {**wanted, "droplet_template": {**template, "size": "s-2vcpu-2gb"}})
    assert kept[0] not in [one["droplet_id"] for one in api.do("GET", f"{path}/members")["droplets"]]
    assert api.ask("DELETE", f"{path}/dangerous").status == 400
    api.do("DELETE", f"{path}/dangerous", X_Dangerous="true")
    assert api.do("GET", "/v2/droplets")["droplets"] == []
    assert api.refused(404, "GET", path) == f"autoscale group with id {pool['id']} not found"


@pytest.mark.parametrize(
    "config",
    [{}, {"min_instances": 1}, {"min_instances": 3, "max_instances": 2, "target_cpu_utilization": 0.5},
     {"min_instances": 1, "max_instances": 2}, {"min_instances": 1, "max_instances": 2, "target_cpu_utilization": 2}],
)  # fmt: skip
def test_a_pool_that_cannot_be_is_refused(api: Api, config: dict[str, object]) -> None:
    template = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "debian-13-x64", "ssh_keys": []}
    wanted = {"name": "web", "config": config, "droplet_template": template}
    api.refused(422, "POST", "/v2/droplets/autoscale", wanted)


def test_a_project_with_resources_stays_and_new_things_belong_to_the_default_one(api: Api) -> None:
    project = api.do("POST", "/v2/projects", {"name": "staging", "purpose": "Web Application"})
    api.refused(409, "POST", "/v2/projects", {"name": "staging", "purpose": "Web Application"})
    droplet = api.droplet()
    urn, path = f"do:droplet:{droplet['id']}", f"/v2/projects/{project['id']}"
    default = api.do("GET", "/v2/projects/default")["project"]["id"]
    assert [one["urn"] for one in api.do("GET", f"/v2/projects/{default}/resources")["resources"]] == [urn]
    answered = api.ask("POST", f"{path}/resources", {"resources": [urn, "do:droplet:1"]}).answer["resources"]
    assert [one["status"] for one in answered] == ["assigned", "not_found"]
    assert api.refused(412, "DELETE", path) == "cannot delete a project with resources"
    api.do("POST", f"/v2/projects/{default}/resources", {"resources": [urn]})
    api.do("DELETE", path)


def test_alerts_and_checks_want_what_the_api_knows(api: Api) -> None:
    alert = {"type": "v1/insights/droplet/cpu", "compare": "GreaterThan", "window": "5m", "value": 90,
             "alerts": {"email": ["ops@example.com"]}}  # fmt: skip
    for wrong in (
        {"type": "v1/insights/droplet/mood"},
        {"compare": "Equals"},
        {"window": "2m"},
        {"tags": ["none"]},
    ):
        api.refused(422, "POST", "/v2/monitoring/alerts", {**alert, **wrong})
    check = {"name": "api", "type": "https", "target": "https://example.com"}
    for wrong in ({"type": "gopher"}, {"regions": ["moon"]}, {"target": ""}):
        api.refused(422, "POST", "/v2/uptime/checks", {**check, **wrong})
