"""Database clusters: states, what they refuse, what is in them, restores."""

import base64

import pytest
from cryptography import x509

from lab.local_digitalocean.pools import MOST_POOLS, connections
from tests.lab.local_digitalocean.client import Api


@pytest.fixture
def path(api: Api) -> str:
    """The path of a cluster that is online."""
    cluster = api.cluster()
    api.wait()
    return f"/v2/databases/{cluster['id']}"


def status(api: Api, path: str) -> str:
    return str(api.do("GET", path)["database"]["status"])


def test_a_cluster_is_creating_before_it_is_online_and_takes_nothing_meanwhile(api: Api) -> None:
    cluster = api.cluster()
    path = f"/v2/databases/{cluster['id']}"
    assert cluster["status"] == "creating"
    assert "it must be online" in api.refused(412, "POST", f"{path}/dbs", {"name": "a"})
    api.refused(412, "POST", f"{path}/users", {"name": "a"})
    api.refused(412, "PATCH", f"{path}/config", {"config": {"timezone": "UTC"}})
    api.wait()
    assert status(api, path) == "online"


def test_a_cluster_is_born_with_an_administrator_and_a_database(api: Api, path: str) -> None:
    cluster = api.do("GET", path)["database"]
    assert [user["name"] for user in cluster["users"]] == ["doadmin"]
    assert cluster["db_names"] == ["defaultdb"]
    assert cluster["private_connection"]["host"].startswith("private-main-db")
    assert cluster["private_connection"]["uri"].startswith("postgresql://doadmin:local_")
    assert cluster["storage_size_mib"] == 30 * 1024


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engine": "redis"}, "invalid engine: redis"),
        ({"engine": "oracle"}, "invalid engine: oracle"),
        ({"version": "12"}, "invalid version: 12"),
        ({"size": "db-s-1vcpu-1gb", "num_nodes": 2}, "this size has one node only"),
        ({"num_nodes": 4}, "num_nodes must be between 1 and 3"),
        ({"size": "db-huge"}, "invalid size"),
        ({"name": "with_underscore"}, "invalid cluster name: lowercase letters, digits and hyphens only"),
        ({"private_network_uuid": "none"}, "private network not found"),
        ({"project_id": "none"}, "project none not found"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(api: Api, wrong: dict[str, object], message: str) -> None:
    wanted = {
        "name": "main-db",
        "engine": "pg",
        "version": "17",
        "size": "db-s-1vcpu-2gb",
        "region": "fra1",
        "num_nodes": 1,
    }
    assert api.refused(422, "POST", "/v2/databases", {**wanted, **wrong}) == message
    assert api.do("GET", "/v2/databases")["databases"] == []


def test_a_name_is_taken_once(api: Api, path: str) -> None:
    wanted = {
        "name": "main-db",
        "engine": "pg",
        "version": "17",
        "size": "db-s-1vcpu-2gb",
        "region": "fra1",
        "num_nodes": 1,
    }
    assert api.refused(409, "POST", "/v2/databases", wanted) == "cluster name is not available"
    api.do("POST", f"{path}/dbs", {"name": "tenant_a"})
    api.refused(409, "POST", f"{path}/dbs", {"name": "tenant_a"})
    api.do("POST", f"{path}/users", {"name": "tenant_a_g1"})
    api.refused(409, "POST", f"{path}/users", {"name": "tenant_a_g1"})
    api.refused(422, "POST", f"{path}/dbs", {"name": "x" * 64})


def test_what_is_not_in_a_cluster_is_not_found(api: Api, path: str) -> None:
    for missing in (f"{path}/dbs/none", f"{path}/users/none", f"{path}/pools/none", "/v2/databases/none"):
        api.refused(404, "GET", missing)
        api.refused(404, "DELETE", missing)
    api.refused(403, "DELETE", f"{path}/users/doadmin")


def test_a_password_is_shown_again_and_changes_when_it_is_reset(api: Api, path: str) -> None:
    made = api.do("POST", f"{path}/users", {"name": "tenant_a_g1"})
    assert api.do("GET", f"{path}/users/tenant_a_g1")["user"]["password"] == made["password"]
    again = api.do("POST", f"{path}/users/tenant_a_g1/reset_auth", {})
    assert again["password"] != made["password"]


def test_a_cluster_grows_and_does_not_shrink(api: Api, path: str) -> None:
    api.do("PUT", f"{path}/resize", {"size": "db-s-2vcpu-4gb", "num_nodes": 2})
    assert status(api, path) == "resizing"
    api.wait()
    assert "cannot shrink" in api.refused(
        422, "PUT", f"{path}/resize", {"size": "db-s-1vcpu-2gb", "num_nodes": 2}
    )


def test_a_version_only_rises(api: Api) -> None:
    path = f"/v2/databases/{api.cluster(version='16')['id']}"
    api.wait()
    api.refused(422, "PUT", f"{path}/upgrade", {"version": "15"})
    api.do("PUT", f"{path}/upgrade", {"version": "17"})
    assert api.do("GET", path)["database"]["version"] == "17"


def test_pools_end_with_the_connections_and_at_21(api: Api, path: str) -> None:
    cluster = api.account.all("clusters")[0]
    assert connections(cluster) == 47  # 25 for each of 2 GiB, less 3
    pool = {"mode": "transaction", "size": 40, "db": "defaultdb", "user": "doadmin"}
    api.do("POST", f"{path}/pools", {"name": "first", **pool})
    assert (
        api.refused(422, "POST", f"{path}/pools", {"name": "second", **pool})
        == "size must be between 1 and 7"
    )
    api.refused(422, "POST", f"{path}/pools", {"name": "second", **pool, "size": 1, "db": "none"})
    api.refused(422, "POST", f"{path}/pools", {"name": "second", **pool, "size": 1, "user": "none"})
    api.do("PUT", f"{path}/pools/first", {**pool, "size": 1})
    for number in range(MOST_POOLS - 1):
        api.do("POST", f"{path}/pools", {"name": f"pool-{number}", **pool, "size": 1})
    assert "at most 21" in api.refused(422, "POST", f"{path}/pools", {"name": "last", **pool, "size": 1})


def test_a_firewall_is_put_as_a_whole_and_names_what_exists(api: Api, path: str) -> None:
    rules = {"rules": [{"type": "tag", "value": "web"}]}
    assert api.refused(422, "PUT", f"{path}/firewall", rules) == "tag web not found"
    api.do("POST", "/v2/tags", {"name": "web"})
    api.do("PUT", f"{path}/firewall", rules)
    (first,) = api.do("GET", f"{path}/firewall")["rules"]
    api.do("PUT", f"{path}/firewall", {"rules": [*rules["rules"], {"type": "ip_addr", "value": "192.0.2.1"}]})
    kept, _ = api.do("GET", f"{path}/firewall")["rules"]
    assert kept["uuid"] == first["uuid"]
    for value in ("2001:db8::1", "nonsense"):
        api.refused(422, "PUT", f"{path}/firewall", {"rules": [{"type": "ip_addr", "value": value}]})
    api.refused(
        422,
        "PUT",
        f"{path}/firewall",
        {"rules": [{"type": "ip_addr", "value": f"192.0.2.{n}"} for n in range(101)]},
    )
    api.do("PUT", f"{path}/firewall", {"rules": []})
    assert api.do("GET", f"{path}/firewall")["rules"] == []


def test_the_authority_is_the_accounts_and_a_real_one(api: Api, path: str) -> None:
    encoded = api.do("GET", f"{path}/ca")["ca"]["certificate"]
    certificate = x509.load_pem_x509_certificate(base64.b64decode(encoded))
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert api.do("GET", f"{path}/ca")["ca"]["certificate"] == encoded


def test_logs_are_sent_to_one_place_of_a_name(api: Api, path: str) -> None:
    server = {"server": "logs.example.org", "port": 6514, "tls": True, "format": "rfc5424"}
    wanted = {"sink_name": "staging-logs", "sink_type": "rsyslog", "config": server}
    sink = api.ask("POST", f"{path}/logsink", wanted).answer["sink"]
    own = f"{path}/logsink/{sink['sink_id']}"
    assert api.ask("GET", own).answer == {**wanted, "sink_id": sink["sink_id"]}
    api.refused(422, "POST", f"{path}/logsink", wanted)
    api.refused(422, "POST", f"{path}/logsink", {**wanted, "sink_name": "other", "config": {"port": 6514}})
    api.ask("PUT", own, {"config": {**server, "port": 601}})
    assert api.ask("GET", own).answer["config"]["port"] == 601
    api.ask("DELETE", own)
    api.refused(404, "GET", own)
    assert api.ask("GET", f"{path}/logsink").answer == {"sinks": []}


def test_valkey_has_a_policy_and_neither_databases_nor_backups(api: Api) -> None:
    path = f"/v2/databases/{api.cluster(name='cache', engine='valkey', version='8', size='db-s-1vcpu-1gb')['id']}"
    api.wait()
    assert api.do("GET", f"{path}/eviction_policy") == {"eviction_policy": "noeviction"}
    api.refused(422, "PUT", f"{path}/eviction_policy", {"eviction_policy": "allkeys-lru"})
    for inside in ("dbs", "users", "pools", "backups"):
        api.refused(422, "GET", f"{path}/{inside}")
    assert api.do("GET", path)["database"]["private_connection"]["uri"].startswith("rediss://default:")


def test_a_restore_is_a_new_cluster_with_what_the_backup_had(api: Api, path: str) -> None:
    api.do("POST", f"{path}/dbs", {"name": "tenant_a"})
    assert len(api.do("GET", f"{path}/backups")["backups"]) == 1
    api.wait(60)
    backup = api.ask("POST", "/_local/backups/main-db").answer
    api.wait(60)
    api.do("POST", f"{path}/dbs", {"name": "tenant_later"})
    restore = {"database_name": "main-db", "backup_created_at": backup["created_at"]}
    restored = api.cluster(name="restored", backup_restore=restore)
    assert restored["status"] == "forking"
    assert restored["db_names"] == ["defaultdb", "tenant_a"]
    for wrong in ({"database_name": "none"}, {"backup_created_at": "2020-01-01T00:00:00Z"}):
        wanted = {
            "name": "other",
            "engine": "pg",
            "version": "17",
            "size": "db-s-1vcpu-2gb",
            "region": "fra1",
            "num_nodes": 1,
        }
        assert "backup_restore" in api.refused(
            422, "POST", "/v2/databases", {**wanted, "backup_restore": {**restore, **wrong}}
        )
