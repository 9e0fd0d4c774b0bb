"""What holds for a stack as a whole."""

import json
import re

import pytest

from tests.support import Stack

STACKS = ("staging", "production")


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    found: Stack = request.getfixturevalue(request.param)
    return found


def test_the_only_provider_is_digitalocean_at_a_version_that_runs(stack: Stack) -> None:
    assert stack.json["terraform"]["required_providers"] == {
        "digitalocean": {"source": "digitalocean/digitalocean", "version": ">= 2.99.1, < 3.0.0"}
    }
    assert stack.json["provider"] == {"digitalocean": [{"requests_per_second": 4, "http_retry_max": 8}]}


def test_every_physical_name_begins_with_its_environment(stack: Stack) -> None:
    """Two environments in one account share nothing, not even by accident."""
    exempt = {"record", "domain", "database_db", "database_user"}
    for kind, blocks in stack.json["resource"].items():
        if kind.removeprefix("digitalocean_") in exempt:
            continue
        for address, block in blocks.items():
            if "name" in block:
                own = rf"(presence360-)?{stack.name}(-|$)"
                assert re.match(own, block["name"]), f"{kind}.{address} is named {block['name']}"


def test_two_environments_have_no_physical_name_in_common(staging: Stack, production: Stack) -> None:
    def names(stack: Stack) -> set[tuple[str, str]]:
        return {
            (kind, block["name"])
            for kind, blocks in stack.json["resource"].items()
            if kind not in {"digitalocean_record", "digitalocean_database_db", "digitalocean_database_user"}
            for block in blocks.values()
            if "name" in block
        }

    assert names(staging) & names(production) == set()


def test_no_stack_mentions_another(staging: Stack, production: Stack, bootstrap: Stack) -> None:
    """A reference between stacks would bake state paths into the output and tie two environments together."""
    for stack in (staging, production, bootstrap):
        assert "terraform_remote_state" not in json.dumps(stack.json)
    assert "production" not in json.dumps(staging.json)


def test_data_is_protected_and_what_serves_is_replaced_without_a_gap(stack: Stack) -> None:
    for kind in ("database_cluster", "database_db", "spaces_bucket", "domain"):
        for address, block in stack.all(kind).items():
            if "_retired_" in address:
                assert stack.local(block["for_each"]) == {}, "nothing lives there that was not retired"
                continue
            assert block["lifecycle"]["prevent_destroy"] is True
    for kind in ("droplet", "certificate"):
        for block in stack.all(kind).values():
            assert block["lifecycle"]["create_before_destroy"] is True


def test_state_is_in_the_environments_own_locked_bucket(stack: Stack) -> None:
    backend = stack.json["terraform"]["backend"]["s3"]
    assert backend["bucket"] == f"presence360-{stack.name}-state"
    assert backend["key"] == f"{stack.name}.tfstate"
    assert backend["use_lockfile"] is True
    assert backend["endpoints"] == {"s3": "https://fra1.digitaloceanspaces.com"}
    assert not {"access_key", "secret_key", "token"} & backend.keys()


def test_outputs_name_what_a_person_needs(stack: Stack) -> None:
    assert set(stack.outputs) == {
        "names", "name_servers", "droplets", "postgres_hosts", "valkey_host", "exports_bucket", "tenants",
        # Of the workflow that copies dumps, which an operator hands to it.
        *(["backups_copy_key"] if stack.name == "production" else []),
    }  # fmt: skip
    assert all(output["description"] for output in stack.outputs.values())


def test_no_output_shows_a_secret(stack: Stack) -> None:
    for output in stack.outputs.values():
        if output.get("sensitive"):
            continue
        assert not re.search(r"password|secret|\.uri|private_uri|token", json.dumps(output["value"]))


def test_every_construct_keeps_the_characters_of_its_id(stack: Stack) -> None:
    assert all(re.fullmatch(r"[a-z_]+\.[A-Za-z0-9_-]+", address) for address in stack.addresses)
