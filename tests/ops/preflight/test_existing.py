"""What a plan would make although it exists, and what takes it over."""

from typing import Any

import pytest

from lab.local_digitalocean.server import Server
from model import addresses
from model.addresses import BUCKET, CERTIFICATE, CLUSTER, DATABASE, DROPLET, LOAD_BALANCER, USER, ZONE
from ops.api_client import Client
from ops.change import Change
from ops.plan_json import Plan
from ops.preflight import checks, existing
from ops.preflight.existing import Existing, Way
from ops.preflight.spaces import Key
from tests.ops.preflight.conftest import made

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def find(api: Client, *changes: Change, spaces: Key | None = None) -> list[Existing]:
    return list(existing.find(changes, api, spaces))


@pytest.fixture
def there(server: Server) -> dict[str, dict[str, dict[str, Any]]]:
    """Everything of a killed first deploy."""
    tables = server.account.tables
    tables["domains"]["example.org"] = {"name": "example.org", "ttl": 1800, "zone_file": ""}
    tables["records"]["7"] = {
        "id": 7, "type": "NS", "name": "staging", "data": "ns1.digitalocean.com", "tag": None, "_domain": "example.org",
    }  # fmt: skip
    tables["certificates"]["c"] = {"id": "c", "name": "staging-3fa9c2", "state": "verified"}
    tables["ssh_keys"]["5"] = {
        "id": 5,
        "name": "staging-ops",
        "public_key": f"{KEY} ama@laptop",
        "fingerprint": "f",
    }
    tables["droplets"]["9"] = {"id": 9, "name": "staging-app-1-3fa9c2", "tags": []}
    tables["vpcs"]["v"] = {"id": "v", "name": "staging-vpc", "region": "fra1"}
    tables["volumes"]["m"] = {"id": "m", "name": "staging-metrics", "region": {"slug": "fra1"}}
    tables["alerts"]["u"] = {"uuid": "u", "description": "staging: a disk is full"}
    tables["checks"]["k"] = {"id": "k", "name": "staging-uptime-apex"}
    tables["check_alerts"]["w"] = {"id": "w", "name": "staging-uptime-apex-down", "_check": "k"}
    return tables


@pytest.mark.parametrize(
    ("change", "way", "identifier"),
    [
        (made(ZONE, name="example.org"), Way.IMPORT, "example.org"),
        (made("digitalocean_record", domain="example.org", type="NS", name="staging", value="ns1.digitalocean.com."),
         Way.IMPORT, "example.org,7"),
        (made(CERTIFICATE.kind, name="staging-3fa9c2"), Way.IMPORT, "staging-3fa9c2"),
        (made("digitalocean_ssh_key", name="staging-ops", public_key=f"{KEY} another comment"), Way.IMPORT, "5"),
        (made(addresses.VPC.kind, name="staging-vpc"), Way.IMPORT, "v"),
        (made("digitalocean_volume", name="staging-metrics"), Way.IMPORT, "m"),
        (made("digitalocean_monitor_alert", description="staging: a disk is full"), Way.IMPORT, "u"),
        (made("digitalocean_monitor_alert", description="production: a disk is full"), None, ""),
        (made("digitalocean_uptime_check", name="staging-uptime-apex"), Way.IMPORT, "k"),
        (made("digitalocean_uptime_alert", check_id="k", name="staging-uptime-apex-down"), Way.IMPORT, "k,w"),
        (made("digitalocean_uptime_alert", check_id="k", name="staging-uptime-apex-latency"), None, ""),
        (made(DROPLET, name="staging-app-1-3fa9c2"), Way.BY_HAND, ""),
        (made(ZONE, name="example.com"), None, ""),
        (made("digitalocean_record", domain="example.org", type="NS", name="staging", value="ns2.digitalocean.com."),
         None, ""),
        # Only what is made: what is updated is in the state.
        (made(ZONE, "update", before={"name": "example.org"}, name="example.org"), None, ""),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("there")
def test_what_exists_is_found_by_name(api: Client, change: Change, way: Way | None, identifier: str) -> None:
    found = find(api, change)
    assert [(one.way, one.identifier) for one in found] == ([(way, identifier)] if way else [])


def test_what_is_inside_a_cluster_is_found(server: Server, api: Client) -> None:
    server.account.tables["clusters"]["id"] = {
        "id": "id", "name": "staging-pg", "engine": "pg", "status": "online",
        "_users": {"ama": {"name": "ama"}}, "_databases": {"one": {"name": "one"}},
    }  # fmt: skip
    inside = {"cluster_id": "id"}
    found = find(
        api,
        made(DATABASE, **inside, name="one"),
        made(USER, **inside, name="new"),
        made(DATABASE, name="one"),
    )
    assert [(one.what, one.identifier) for one in found] == [("database db one", "id,one")]


@pytest.mark.usefixtures("server")
def test_a_bucket_is_found_with_the_providers_key(environ: dict[str, str], api: Client) -> None:
    spaces = Key.of_provider(environ, "fra1")
    vars(spaces)["_client"].create_bucket(Bucket="presence360-staging-exports")
    wanted = made(BUCKET, name="presence360-staging-exports", region="fra1")
    (found,) = find(api, wanted, spaces=spaces)
    assert found.identifier == "fra1,presence360-staging-exports"
    assert find(api, wanted) == []


@pytest.mark.usefixtures("there")
def test_a_public_key_under_another_name_is_not_taken_over(api: Client) -> None:
    (found,) = find(api, made("digitalocean_ssh_key", name="production-ops", public_key=KEY))
    assert found.way is Way.BY_HAND
    assert "as 'staging-ops', and DigitalOcean takes each only once" in found.remedy


@pytest.mark.parametrize(
    ("state", "way", "said"),
    [
        ("verified", Way.UNTAINT, ""),
        ("pending", Way.BY_HAND, "wait some minutes"),
        ("error", Way.BY_HAND, "check that the zone is delegated"),
    ],
)
def test_an_interrupted_certificate(
    there: dict[str, dict[str, dict[str, Any]]], api: Client, state: str, way: Way, said: str
) -> None:
    there["certificates"]["c"]["state"] = state
    named = {"name": "staging-3fa9c2"}
    (found,) = find(api, made(CERTIFICATE.kind, "create", "delete", before=named, **named))
    assert (found.way, said in found.remedy) == (way, True)
    # One under another name is an ordinary replacement.
    assert find(api, made(CERTIFICATE.kind, "create", "delete", before={"name": "x"}, **named)) == []


@pytest.mark.usefixtures("there")
def test_what_may_serve_is_not_to_be_deleted_before_the_runbook_says_so(api: Client) -> None:
    (found,) = find(api, made(DROPLET, name="staging-app-1-3fa9c2"))
    assert "If the state was lost, it serves: delete it only when docs/runbooks/lost.md" in found.remedy
    assert found.remedy.endswith("; id 9")


@pytest.mark.usefixtures("there")
def test_what_exists_of_an_empty_states_plan_is_named_without_public_keys(environ: dict[str, str]) -> None:
    plan = Plan(
        "staging",
        "staging",
        (
            made(ZONE, name="example.org"),
            made(ZONE, name="example.com"),
            made(addresses.VPC.kind, name="staging-vpc"),
            made("digitalocean_ssh_key", name="staging-ops", public_key=KEY),
        ),
    )
    assert checks.exists(plan, "fra1", environ) == ("domain example.org", "VPC staging-vpc")
    # Who cannot be asked has not said that nothing exists.
    assert checks.exists(plan, "fra1", {**environ, "DIGITALOCEAN_TOKEN": "another"}) is None


def test_it_says_what_takes_it_over_and_what_a_person_has_to_do() -> None:
    one = Existing("a.x", "domain example.org", Way.IMPORT, "example.org")
    other = Existing("b.x", "loadbalancer staging-app", Way.BY_HAND, remedy="delete it in the control panel")
    assert checks.told([one, other], "staging") == [
        "staging: domain example.org exists already, and Terraform's state does not have it",
        "staging: loadbalancer staging-app exists already, and Terraform's state does not have it: delete it in the "
        "control panel",
        "staging: did an interrupted deploy leave this behind, did you make it for this environment, or is the state "
        "lost (docs/runbooks/lost.md)? Then: presence360 adopt staging, and plan again",
    ]
    assert len(checks.told([other], "staging")) == 1
    assert checks.told([], "staging") == []


def test_a_list_that_may_not_be_read_finds_nothing(server: Server, api: Client) -> None:
    server.faults.set({"faults": ["GET /v2/load_balancers 403", "GET /v2/databases 403"]})
    assert find(api, made(LOAD_BALANCER, name="x"), made(CLUSTER, name="x")) == []
