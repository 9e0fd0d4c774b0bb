from collections.abc import Callable

from tests.support import Stack


def test_bootstrap_makes_a_state_bucket_and_a_key_for_it_alone_per_environment(bootstrap: Stack) -> None:
    buckets = {bucket["name"] for bucket in bootstrap.all("spaces_bucket").values()}
    assert buckets == {"presence360-staging-state", "presence360-production-state"}
    for bucket in bootstrap.all("spaces_bucket").values():
        assert bucket["versioning"] == {"enabled": True}
        assert bucket["acl"] == "private"
        assert bucket["lifecycle"] == {"prevent_destroy": True}
        # The state itself never expires; what it replaced does.
        (rule,) = bucket["lifecycle_rule"]
        assert "expiration" not in rule
    granted = set()
    for key in bootstrap.all("spaces_key").values():
        (grant,) = key["grant"]
        assert grant["permission"] == "readwrite"
        granted.add(bootstrap.follow(grant["bucket"])["name"])
    assert granted == buckets


def test_bootstrap_keys_are_sensitive(bootstrap: Stack) -> None:
    for environment in ("staging", "production"):
        assert bootstrap.outputs[f"{environment}_state_key"]["sensitive"] is True


def test_bootstrap_has_local_state_since_there_is_no_bucket_yet(bootstrap: Stack) -> None:
    assert bootstrap.json["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.bootstrap.tfstate"}
    }


def test_local_state_is_for_whoever_asks(edited: Callable[..., Stack]) -> None:
    assert edited(local_state=True).json["terraform"]["backend"] == {
        "local": {"path": "../../../terraform.staging.tfstate"}
    }
