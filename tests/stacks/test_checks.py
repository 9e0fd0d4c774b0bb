"""cdktf's silent corruptions: each is shown to happen, and then to be stopped."""

import inspect
import json
from pathlib import Path

import pytest
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_digitalocean.database_cluster import DatabaseCluster
from cdktf_cdktf_provider_digitalocean.provider import DigitaloceanProvider
from cdktf_cdktf_provider_digitalocean.tag import Tag
from constructs import Construct

from constructs_lib.postgres import PostgresCluster
from constructs_lib.valkey import ValkeyCluster
from stacks.checks import CorruptOutputError, check_addresses, check_output


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(outdir=str(tmp_path))


@pytest.fixture
def stack(app: App) -> TerraformStack:
    stack = TerraformStack(app, "s")
    DigitaloceanProvider(stack, "provider")
    return stack


def synthesized(app: App, stack: TerraformStack) -> Path:
    app.synth()
    return Path(app.outdir, "stacks", stack.node.id, "cdk.tf.json")


def test_ids_that_collapse_lose_a_resource_and_are_refused(app: App, stack: TerraformStack) -> None:
    Tag(stack, "a.b", name="first")
    Tag(stack, "ab", name="second")
    tags = json.loads(synthesized(app, stack).read_text())["resource"]["digitalocean_tag"]
    assert [tag["name"] for tag in tags.values()] == ["second"], "cdktf fixes this now: the check can go"
    with pytest.raises(CorruptOutputError, match=r"s/a\.b"):
        check_addresses(stack)


@pytest.mark.parametrize("construct_id", ["Default", "a b", "café"])
def test_ids_that_do_not_survive_are_refused(stack: TerraformStack, construct_id: str) -> None:
    Tag(stack, construct_id, name="t")
    with pytest.raises(CorruptOutputError, match=construct_id):
        check_addresses(stack)


def test_further_down_a_hash_of_the_path_keeps_such_ids_apart(app: App, stack: TerraformStack) -> None:
    below = Construct(stack, "below")
    Tag(below, "a.b", name="first")
    Tag(below, "ab", name="second")
    tags = json.loads(synthesized(app, stack).read_text())["resource"]["digitalocean_tag"]
    assert {tag["name"] for tag in tags.values()} == {"first", "second"}


def test_ids_of_letters_digits_and_hyphens_pass(stack: TerraformStack) -> None:
    Tag(stack, "tag-group-app", name="t")
    check_addresses(stack)


def cluster(stack: TerraformStack) -> DatabaseCluster:
    return DatabaseCluster(
        stack, "c", name="c", engine="pg", node_count=1, region="fra1", size="db-s-1vcpu-1gb"
    )


def test_a_number_token_that_was_made_an_integer_is_garbage_and_is_refused(
    app: App, stack: TerraformStack
) -> None:
    TerraformOutput(stack, "port", value=f"port {cluster(stack).port:.0f}")
    file = synthesized(app, stack)
    assert ".port" not in json.loads(file.read_text())["output"]["port"]["value"]
    with pytest.raises(CorruptOutputError, match=r"Token\.as_string"):
        check_output(file)


def test_arithmetic_on_a_number_token_is_lost_so_ports_are_text(app: App, stack: TerraformStack) -> None:
    """No check can see it afterwards: the sum of a token and 1 is the token."""
    TerraformOutput(stack, "port", value=cluster(stack).port + 1)
    value = json.loads(synthesized(app, stack).read_text())["output"]["port"]["value"]
    assert value == "${digitalocean_database_cluster.c.port}", "cdktf does the sum now"
    for construct in (PostgresCluster, ValkeyCluster):
        assert "self.port = Token.as_string(" in inspect.getsource(construct)


def test_a_string_token_that_was_cut_is_refused(app: App, stack: TerraformStack) -> None:
    TerraformOutput(stack, "host", value=cluster(stack).host[:-2])
    with pytest.raises(CorruptOutputError):
        check_output(synthesized(app, stack))


def test_whole_tokens_pass(app: App, stack: TerraformStack) -> None:
    TerraformOutput(stack, "port", value=cluster(stack).port)
    check_output(synthesized(app, stack))


def test_a_move_to_an_address_that_is_not_there_is_refused(app: App, stack: TerraformStack) -> None:
    """Terraform would plan the destruction of what was moved."""
    here = cluster(stack).friendly_unique_id
    moves = [{"from": "digitalocean_database_cluster.old", "to": f'digitalocean_database_cluster.{to}["a"]'}
             for to in (here, "renamed")]  # fmt: skip
    stack.add_override("moved", moves)
    with pytest.raises(CorruptOutputError, match=r"does not have: digitalocean_database_cluster\.renamed; "):
        check_output(synthesized(app, stack))
