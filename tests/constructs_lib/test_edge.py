import pytest

from tests.support import Stack


def records(stack: Stack, kind: str) -> dict[str, str]:
    """Name to what it points at: a load balancer's name for A records, the value for others."""
    return {
        record["name"]: stack.follow(record["value"])["name"] if kind == "A" else record["value"]
        for record in stack.all("record").values()
        if record["type"] == kind
    }


def test_one_public_group_has_one_load_balancer_for_every_name(staging: Stack) -> None:
    names = ("@", "*", "api", "app", "cp", "admin")
    assert records(staging, "A") == dict.fromkeys(names, "staging-app")
    assert len(staging.all("loadbalancer")) == 1


def test_each_name_points_at_the_group_that_serves_it(production: Stack) -> None:
    assert records(production, "A") == {
        "api": "production-tenant",
        "app": "production-tenant",
        "*": "production-tenant",
        "cp": "production-control",
        "admin": "production-control",
    }


def test_a_load_balancer_speaks_tls_on_both_sides(staging: Stack, production: Stack) -> None:
    for stack in (staging, production):
        certificate = stack.only("certificate")
        for balancer in stack.all("loadbalancer").values():
            (rule,) = balancer["forwarding_rule"]
            assert stack.follow(rule["certificate_name"]) == certificate
            assert {key: value for key, value in rule.items() if key != "certificate_name"} == {
                "entry_protocol": "https", "entry_port": 443, "target_protocol": "https", "target_port": 443,
            }  # fmt: skip
            assert balancer["redirect_http_to_https"] is True
            assert balancer["tls_cipher_policy"] == "STRONG"


def test_a_load_balancer_asks_healthz_and_drains_in_ten_seconds(production: Stack) -> None:
    for balancer in production.all("loadbalancer").values():
        check = balancer["healthcheck"]
        assert (check["protocol"], check["port"], check["path"]) == ("https", 443, "/healthz")
        assert check["check_interval_seconds"] * check["unhealthy_threshold"] <= 10


def test_a_load_balancer_finds_its_own_groups_droplets_by_tag(production: Stack) -> None:
    for group in ("tenant", "control"):
        balancer = production.named("loadbalancer", f"production-{group}")
        assert production.names([balancer["droplet_tag"]]) == [f"production-group-{group}"]
        assert production.follow(balancer["vpc_uuid"]) == production.only("vpc")
        assert production.follow(balancer["project_id"]) == production.only("project")


def test_size_units_are_the_operators(production: Stack) -> None:
    assert production.named("loadbalancer", "production-tenant")["size_unit"] == 2
    assert production.named("loadbalancer", "production-control")["size_unit"] == 1


@pytest.mark.parametrize("name", ["staging", "production"])
def test_the_certificate_covers_base_domain_and_wildcard(name: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(name)
    certificate = stack.only("certificate")
    base = stack.only("domain")["name"]
    assert certificate["type"] == "lets_encrypt"
    assert certificate["domains"] == [base, f"*.{base}"]
    assert certificate["lifecycle"] == {"create_before_destroy": True}
    waits_for = {dependency.split(".")[0] for dependency in certificate["depends_on"]}
    assert waits_for == {"digitalocean_domain", "digitalocean_record"}


def test_only_lets_encrypt_may_issue(staging: Stack) -> None:
    caa = [record for record in staging.all("record").values() if record["type"] == "CAA"]
    assert sorted(record["tag"] for record in caa) == ["issue", "issuewild"]
    assert {(record["name"], record["flags"], record["value"]) for record in caa} == {
        ("@", 0, "letsencrypt.org.")
    }


def test_terraform_owns_the_records(production: Stack) -> None:
    for balancer in production.all("loadbalancer").values():
        assert balancer["disable_lets_encrypt_dns_records"] is True


def test_the_parent_delegates_staging_and_staging_delegates_nothing(
    staging: Stack, production: Stack
) -> None:
    servers = [record for record in production.all("record").values() if record["type"] == "NS"]
    assert {record["name"] for record in servers} == {"staging"}
    # A value without a dot at its end shows a difference in every plan.
    assert sorted(record["value"] for record in servers) == [f"ns{n}.digitalocean.com." for n in (1, 2, 3)]
    assert records(staging, "NS") == {}


def test_no_ttl_is_below_what_digitalocean_takes(staging: Stack, production: Stack) -> None:
    for stack in (staging, production):
        assert all(record["ttl"] >= 30 for record in stack.all("record").values())
