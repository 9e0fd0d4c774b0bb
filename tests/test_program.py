"""The program as its user runs it: a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ENVIRONMENTS, ROOT

pytestmark = pytest.mark.slow


def run(
    *, environments: Path, outdir: Path, seed: str = "0", path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PRESENCE360_STATE": ""}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [sys.executable, "main.py", "--environments", str(environments), "--outdir", str(outdir)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    return Path(
        shutil.copytree(ENVIRONMENTS, tmp_path / "environments", ignore=shutil.ignore_patterns("*.lock"))
    )


def test_two_synths_in_fresh_processes_are_byte_identical(environments: Path, tmp_path: Path) -> None:
    for number, seed in ((1, "1"), (2, "271828")):
        assert run(environments=environments, outdir=tmp_path / str(number), seed=seed).returncode == 0
    first = files(tmp_path / "1")
    assert set(first) == {
        "manifest.json",
        *(f"stacks/{name}/cdk.tf.json" for name in (
            "bootstrap", "production", "production-restore-drill", "staging",
        )),
    }  # fmt: skip
    assert first == files(tmp_path / "2")


def test_the_output_holds_no_path_of_this_machine(synthesized: Path) -> None:
    for name, content in files(synthesized).items():
        assert str(ROOT).encode() not in content, name
        assert str(synthesized).encode() not in content, name


def test_a_synth_needs_no_terraform_and_no_other_program(environments: Path, tmp_path: Path) -> None:
    """Some classes of cdktf ask for Terraform's version while they synthesize; none of them is used."""
    ended = run(environments=environments, outdir=tmp_path / "out", path=str(tmp_path))
    assert ended.returncode == 0, ended.stderr


def test_bad_input_exits_2_says_all_and_writes_nothing(environments: Path, tmp_path: Path) -> None:
    tenants = environments / "staging" / "tenants.yaml"
    tenants.write_text(
        tenants.read_text(encoding="utf-8").replace("slug: grace", "slug: Grace"), encoding="utf-8"
    )
    production = environments / "production" / "environment.yaml"
    production.write_text(
        production.read_text(encoding="utf-8").replace("region: fra1", "region: fra2"), encoding="utf-8"
    )
    outdir = tmp_path / "out"
    (outdir / "stacks/staging").mkdir(parents=True)
    (outdir / "stacks/staging/cdk.tf.json").write_text("what was there before", encoding="utf-8")
    before = files(outdir)
    ended = run(environments=environments, outdir=outdir)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert "production/environment.yaml:5: region: 'fra2'" in ended.stderr
    assert "Did you mean 'fra1'?" in ended.stderr
    assert "staging/tenants.yaml:5: tenants[0].slug: 'Grace'" in ended.stderr
    assert ended.stderr.endswith("2 problems in the environment files; nothing was written.\n")
    assert files(outdir) == before


def test_example_values_are_warned_about_and_do_not_stop_a_synth(environments: Path, tmp_path: Path) -> None:
    ended = run(environments=environments, outdir=tmp_path / "out")
    assert ended.returncode == 0
    assert "warning: " in ended.stderr
    assert "198.51.100.7/32 is an example address" in ended.stderr


def test_output_of_a_stack_that_is_gone_goes_and_nothing_else_does(
    environments: Path, tmp_path: Path
) -> None:
    outdir = tmp_path / "out"
    assert run(environments=environments, outdir=outdir).returncode == 0
    (outdir / "stacks/production/terraform.tfstate").write_text("kept", encoding="utf-8")
    shutil.rmtree(environments / "production")
    assert run(environments=environments, outdir=outdir).returncode == 0
    assert set(files(outdir)) == {
        "manifest.json",
        "stacks/bootstrap/cdk.tf.json",
        "stacks/production/terraform.tfstate",
        "stacks/staging/cdk.tf.json",
    }
