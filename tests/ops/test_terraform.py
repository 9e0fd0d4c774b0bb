"""What Terraform says, as operators read it: whose lock is waited for, and what to do about a protected resource."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ops.terraform import LockedError, Terraform, TerraformError, churches

pytestmark = pytest.mark.terraform


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    folder = tmp_path / "staging"
    folder.mkdir()
    write(folder, {"input": 1})
    found = Terraform(folder, {"PATH": f"{Path(shutil.which('terraform') or '').parent}:/usr/bin:/bin"})
    found.init()
    return found


def write(folder: Path, *resources: dict[str, object]) -> None:
    blocks = {f"r{number}": one for number, one in enumerate(resources)}
    (folder / "main.tf.json").write_text(
        json.dumps({"resource": {"terraform_data": blocks}} if blocks else {})
    )


def test_who_holds_the_lock_is_said_at_once_and_then_it_is_waited_for(terraform: Terraform) -> None:
    write(terraform.folder, {"provisioner": [{"local-exec": {"command": "exec sleep 4"}}]})
    holder = subprocess.Popen(
        [*terraform.command("apply", "-auto-approve")], env=terraform.environ, stdout=subprocess.DEVNULL
    )
    lock = terraform.folder / ".terraform.tfstate.lock.info"
    while not lock.exists():
        assert holder.poll() is None
        time.sleep(0.05)
    said: list[str] = []
    assert terraform.plan(terraform.folder / "plan", say=said.append) is False
    assert holder.wait() == 0
    (line,) = said
    assert line.startswith("staging: the state is locked by ")
    assert "@" in line
    assert "for apply, since 20" in line


def test_a_lock_that_stays_names_its_holder_and_the_command_that_removes_it() -> None:
    said = """│ Error: Error acquiring the state lock
│ Lock Info:
│   ID:        0b5c1d2e
│   Path:      staging.tfstate
│   Operation: OperationTypeApply
│   Who:       ama@laptop
│   Created:   2026-11-26 08:00:00 UTC
"""
    assert str(LockedError("staging", said)) == (
        "staging: its state is locked by ama@laptop, for apply, since 2026-11-26 08:00:00 UTC (lock 0b5c1d2e). Nothing "
        "was changed. Wait until that run has ended. If it was killed: presence360 unlock staging"
    )


def test_nobody_is_told_to_take_a_protection_out(terraform: Terraform) -> None:
    write(terraform.folder, {"input": 1, "lifecycle": {"prevent_destroy": True}, "triggers_replace": "a"})
    terraform.must("apply", "-auto-approve")
    write(terraform.folder, {"input": 1, "lifecycle": {"prevent_destroy": True}, "triggers_replace": "b"})
    with pytest.raises(TerraformError) as raised:
        terraform.plan(terraform.folder / "plan")
    said = str(raised.value)
    assert "terraform_data.r0" in said
    assert "put it back" in said
    assert "disable" not in said
    assert "-target" not in said


def test_whose_data_is_protected_is_said_by_name(terraform: Terraform) -> None:
    grace, hope = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001", "7d1c2b9a-5b1f-4e0c-8a6d-2c9be0f1a002"
    tenants = {grace: {"name": "Grace\x1b Chapel", "slug": "grace"}, hope: {"name": "Hope", "slug": "hope"}}

    def stack(*present: str) -> None:
        protected = {"for_each": dict.fromkeys(present, 1), "lifecycle": {"prevent_destroy": True}}
        (terraform.folder / "main.tf.json").write_text(
            json.dumps(
                {"resource": {"terraform_data": {"db": protected}}, "output": {"tenants": {"value": tenants}}}
            )
        )

    stack(grace, hope)
    terraform.must("apply", "-auto-approve")
    stack(hope)
    with pytest.raises(TerraformError) as raised:
        terraform.plan(terraform.folder / "plan")
    said = str(raised.value)
    assert (
        "    This is Grace\\x1b Chapel (grace)'s data.\n    It holds data that no apply brings back" in said
    )
    assert "Hope (hope)" not in said


@pytest.mark.parametrize(
    "outputs",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"tenants": 1}',
        '{"tenants": {"value": {"x": {"name": "Grace"}}}}',
        "[" * 100_000,
    ],
)
def test_a_state_that_names_no_churches_is_no_error(outputs: str) -> None:
    assert churches(outputs) == {}


def test_what_terraform_writes_is_for_its_owner_only(terraform: Terraform) -> None:
    terraform.plan(terraform.folder / "plan")
    terraform.apply(terraform.folder / "plan")
    for name in ("plan", "terraform.tfstate"):
        assert (terraform.folder / name).stat().st_mode & 0o077 == 0, name
