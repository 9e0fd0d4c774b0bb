"""Environments: what is shown of them, and a new one that is valid as it is written."""

import ipaddress
import json
import os
import re

import pytest
import yaml

from model.ip_ranges import vpc_range_faults
from model.loader import load_environments
from model.plan import plan_environment
from model.ssh_keys import is_example, key_fault
from ops.edits import by_name
from ops.new_environment import example_key, free_range
from tests.model.workspace import PRODUCTION, STAGING, environment
from tests.ops.command.conftest import Command
from tests.support import synthesize_folder

NEW = "preview/environment.yaml"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops@example.org"


def test_a_new_environment_is_valid_as_it_is_written(command: Command) -> None:
    said = command("env", "init", "preview", "--from", "staging").out
    found = by_name(load_environments(command.files.root))["preview"]
    assert found.tenants == ()
    assert found.file.base_domain == "preview.presence360.app"
    assert str(found.file.network.ip_range) == "10.71.0.0/20"
    assert not (command.files.root / "preview/tenants.lock").exists()
    assert yaml.safe_load(command.files.text(PRODUCTION))["dns"]["delegations"] == ["staging", "preview"]
    for line in (
        "preview: a copy of staging with the domain preview.presence360.app and the range 10.71.0.0/20.",
        "  1. The SSH key: network.ssh_keys.ops is an example. Write your own public key there.",
        "  3. The delegation: dns.delegations of production names it now. Deploy production before preview; CI would "
        "deploy preview first, so merge production's line before this folder, in a pull request of its own.",
    ):
        assert line in said.splitlines()
    for variable in plan_environment(found).terraform_variables:
        assert f"TF_VAR_{variable}" in said


def test_it_differs_from_its_source_in_names_alone(command: Command) -> None:
    command("env", "init", "preview", "--ip-range", "10.90.0.0/20")
    expected = command.files.text(STAGING)
    for old, new in (
        ("environment: staging\n", "environment: preview\n"),
        ("# Staging:", "# Preview:"),
        ("TF_VAR_staging_", "TF_VAR_preview_"),
        (
            "description: Presence360 Church, staging. Test data only.",
            'description: "Presence360 Church, preview. Test data only."',
        ),
        ("base_domain: staging.", "base_domain: preview."),
        ("10.60.0.0/20", "10.90.0.0/20"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    written = command.files.text(NEW).splitlines()
    differs = [
        (mine, theirs) for mine, theirs in zip(written, expected.splitlines(), strict=True) if mine != theirs
    ]
    assert differs == [(f'    ops: "{example_key("preview")}"', differs[0][1])]
    assert "staging" not in command.files.text(NEW) + command.files.text("preview/tenants.yaml")


def test_it_synthesizes_without_a_tenant(command: Command) -> None:
    command("env", "init", "preview")
    outdir = command.files.root.parent / "out"
    synthesize_folder(command.files.root, outdir)
    stack = json.loads((outdir / "stacks/preview/cdk.tf.json").read_text(encoding="utf-8"))
    assert stack["resource"]["digitalocean_vpc"]
    assert "preview.presence360.app" in json.dumps(stack)


def test_a_copy_of_production_has_neither_its_delegations_nor_its_cells(command: Command) -> None:
    cell = '{size: db-s-1vcpu-2gb, nodes: 1, version: "17", maintenance: {day: tuesday, hour: "04:00"}}'
    command.files.replace(PRODUCTION, "  clusters:\n", f"  cells:\n    cell-2: {cell}\n  clusters:\n")
    said = command("env", "init", "demo", "--from", "production", "--domain", "demo.example.org").out
    found = by_name(load_environments(command.files.root))["demo"].file
    assert (found.base_domain, found.dns.delegations, dict(found.postgres.cells)) == (
        "demo.example.org",
        (),
        {},
    )
    assert "The delegation: point demo.example.org at DigitalOcean's name servers" in said


def test_a_key_of_ones_own(command: Command) -> None:
    (command.files.root.parent / "id.pub").write_text(f"{KEY}\n", encoding="utf-8")
    said = command("env", "init", "preview", "--ssh-key", "id.pub").out
    assert yaml.safe_load(command.files.text(NEW))["network"]["ssh_keys"] == {"ops": KEY}
    assert "is an example" not in said
    assert "does not exist" in command("env", "init", "other", "--ssh-key", "no.pub", code=2).err


PRIVATE = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"
NAME_THE_PUB_FILE = "Name the .pub file: ~/.ssh/id_ed25519.pub. `ssh-keygen -t ed25519` makes a new pair."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PRIVATE, "this is a private key, which stays on your machine and belongs in no file here\n    Name its public "
         "half, the .pub file beside it."),
        ("hunter2\n", f"this is no public key in OpenSSH's one-line form\n    {NAME_THE_PUB_FILE}"),
        (f"{KEY}\nhunter2 hunter2\n", f"this is no public key in OpenSSH's one-line form\n    {NAME_THE_PUB_FILE}"),
        ("", f"this is no public key in OpenSSH's one-line form\n    {NAME_THE_PUB_FILE}"),
        (f"{KEY[:48]} hunter2",
         f"an ssh-ed25519 key has 51 bytes; this one has 27, so it was cut\n    {NAME_THE_PUB_FILE}"),
        (b"\xff\xfe", f"this is no public key\n    {NAME_THE_PUB_FILE}"),
        ("x" * 20_000, f"this file has 20,000 bytes; a public key has at most 16,384\n    {NAME_THE_PUB_FILE}"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_public_key_is_not_shown(command: Command, content: str | bytes, told: str) -> None:
    file = command.files.root.parent / "key"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = command.refused("env", "init", "preview", "--ssh-key", "key")
    assert said.startswith(f"key: {told}\n")
    assert "hunter2" not in said
    assert "b3BlbnNz" not in said


def test_a_file_without_an_end_is_not_read(command: Command) -> None:
    os.mkfifo(command.files.root.parent / "fifo")
    for file in ("/dev/zero", "fifo", "."):
        said = command.refused("env", "init", "preview", "--ssh-key", file)
        assert "this is no regular file\n    Name the .pub file" in said


def test_the_example_key_is_one_for_each_name() -> None:
    assert key_fault(example_key("preview")) is None
    assert is_example(example_key("preview"))
    assert example_key("preview") != example_key("demo")


def test_the_next_environment_takes_the_next_range(command: Command) -> None:
    command("env", "init", "preview")
    command("env", "init", "demo")
    assert (
        yaml.safe_load(command.files.text("demo/environment.yaml"))["network"]["ip_range"] == "10.72.0.0/20"
    )
    load_environments(command.files.root)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        (["10.60.0.0/20"], "10.61.0.0/20"),
        # Above it lie ranges that DigitalOcean reserves in every region: 10.244, 10.245 and 10.246.
        (["10.243.0.0/16"], "10.247.0.0/16"),
        (["10.255.0.0/16"], "172.16.0.0/16"),
        (["192.168.0.0/24"], "10.0.0.0/24"),
        # 10.19 is reserved in fra1.
        (["10.18.0.0/20"], "10.20.0.0/20"),
    ],
)
def test_a_free_range_is_clear_of_others_and_of_what_is_reserved(taken: list[str], expected: str) -> None:
    others = [environment(f"e{index}", cidr) for index, cidr in enumerate(taken)]
    found = free_range(others, others[0])
    assert str(found) == expected
    assert list(vpc_range_faults(found, others[0].region)) == []
    assert not any(found.overlaps(ipaddress.IPv4Network(cidr)) for cidr in taken)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("staging",), "environments/staging: this environment exists already"),
        (("preview", "--from", "stagin"), "there is no environment 'stagin'\n    Did you mean 'staging'?"),
        (("Preview",), "'Preview' is not allowed"),
        (("preview", "--ip-range", "10.60.0.0/24"), "overlaps 10.60.0.0/20 of staging"),
        (
            ("preview", "--domain", "presence360.app"),
            "presence360.app is already the base domain of production",
        ),
        (("staging-b",), "names and tags of the two environments could be the same"),
    ],
)
def test_what_would_not_be_valid_is_never_written(
    command: Command, arguments: tuple[str, ...], told: str
) -> None:
    folders = sorted(path.name for path in command.files.root.iterdir())
    said = " ".join(command.refused("env", "init", *arguments).split())
    assert " ".join(told.split()) in said
    assert sorted(path.name for path in command.files.root.iterdir()) == folders


def test_a_church_moves_into_the_new_environment(command: Command) -> None:
    command("env", "init", "preview")
    command("tenant", "add", "preview", "--name", "Grace Chapel", "--slug", "grace")
    assert len(command.files.text("preview/tenants.lock").splitlines()) == 2


def test_the_list_and_one_environment(command: Command) -> None:
    assert [row["environment"] for row in json.loads(command("env", "list", "--json").out)] == [
        "production",
        "staging",
    ]
    assert command("env", "list").out.splitlines()[2].split()[:3] == [
        "staging",
        "fra1",
        "staging.presence360.app",
    ]
    shown = json.loads(command("env", "show", "production", "--json").out)
    assert [group["droplets"] for group in shown["groups"]] == [2, 1, 3, 2]
    assert shown["clusters"][0]["size"] == "db-s-4vcpu-8gb"
    assert shown["secrets"]["TF_VAR_production_session_signing_key"] == ["control-plane-api", "tenant-api"]
    assert shown["secrets"]["TF_VAR_production_registry_token"] == []
    answer = command("env", "show", "staging")
    assert re.search(r"TF_VAR_staging_mnotify_api_key +worker\n", answer.out)
    assert re.search(r"TF_VAR_staging_registry_token +none: it pulls the images\n", answer.out)
    assert "warning: environments/staging/environment.yaml:11: network.admin_cidrs[0]" in answer.err


def test_what_was_chosen_of_pools_and_the_audit_log_is_shown(command: Command) -> None:
    said = command("env", "show", "staging").out
    assert re.search(r"^overcommit +1\nauditd +no$", said, re.MULTILINE)
    command.files.replace(PRODUCTION, "\nvalkey:\n", "\nhardening: {auditd: true}\n\nvalkey:\n")
    said = command("env", "show", "production").out
    assert re.search(r"^overcommit +5\nauditd +yes$", said, re.MULTILINE)
    shown = json.loads(command("env", "show", "production", "--json").out)
    assert (shown["overcommit"], shown["auditd"]) == (5, True)


def test_a_pool_is_shown_as_one(command: Command) -> None:
    command.files.replace(PRODUCTION, "    replicas: 3\n", "    autoscale: {min: 2, max: 6, cpu: 0.6}\n")
    shown = json.loads(command("env", "show", "production", "--json").out)
    assert [group["droplets"] for group in shown["groups"]] == [2, 1, "2 to 6", 2]
