"""checkov is the front: one run over Terraform JSON, HCL and plans, with severities, SARIF and JUnit."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest

from policies import skips
from policies.__main__ import main
from policies.pack import PACK
from policies.policy import ALL, PREFIX
from policies.scan import Finding, Report, ScanError, find_checkov, readable, scan
from policies.stack import Shape
from policies.table import failures, table
from tests.policies import good
from tests.policies.broken import BROKEN
from tests.policies.hcl_text import to_hcl
from tests.support import ROOT

pytestmark = pytest.mark.slow

SKIPPED, BAD_SKIP = "CKV_P360_27", "CKV_P360_28"
DROPLET = f"""
resource "digitalocean_droplet" "bare" {{
  # checkov:skip={SKIPPED}:until 2027-01-31: it has no private address until the move
  # checkov:skip={BAD_SKIP}:later
  name = "bare"
}}
"""


@pytest.fixture(scope="module")
def checkov() -> Path:
    path = find_checkov()
    if path is None:
        pytest.skip("checkov is not here: set CHECKOV to the program, or install it in .venv-checkov")
    return path


@pytest.fixture(scope="module")
def folder(synthesized: Path, lives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that checkov is started for, in one folder: each subfolder is an account."""
    folder = tmp_path_factory.mktemp("stacks")
    shutil.copytree(synthesized / "stacks", folder / "committed")
    shutil.copytree(lives / "stacks", folder / "lives")
    for name, stack in good.stacks().items():
        (folder / "hcl" / name).mkdir(parents=True)
        (folder / "hcl" / name / "main.tf").write_text(to_hcl(stack), "utf-8")
    (folder / "bare" / "droplet").mkdir(parents=True)
    (folder / "bare" / "droplet" / "main.tf").write_text(DROPLET, "utf-8")
    broken = good.stacks()
    for case in BROKEN[:60]:  # those of the last topics would take out what these are about
        if case.number in (5, 15, 37):
            case.edit(broken)
    (folder / "broken" / "staging").mkdir(parents=True)
    (folder / "broken" / "staging" / "cdk.tf.json").write_text(json.dumps(broken["staging"]), "utf-8")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path, checkov: Path) -> Report:
    return scan(folder, checkov, outputs=("sarif", "junit"))


def of(findings: list[Finding], account: str) -> list[Finding]:
    return [finding for finding in findings if finding.file.startswith(f"{account}/")]


@pytest.mark.parametrize("account", ["committed", "lives"])
def test_our_stacks_keep_every_check_of_checkov_too(report: Report, account: str) -> None:
    assert [str(finding) for finding in of(report.failed, account)] == []
    assert {f"CKV_DIO_{number}" for number in (1, 2, 3, 4)} <= {
        found.check for found in of(report.passed, account)
    }


def test_every_stack_was_read(report: Report, folder: Path) -> None:
    """A scan of nothing has no failures either."""
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {found.file for found in report.passed} >= {file for file in files if not file.startswith("bare/")}


def test_every_policy_that_can_judge_hcl_does_and_holds_there(report: Report) -> None:
    judged = {found.check for found in of(report.passed, "hcl") if found.check.startswith(PREFIX)}
    assert judged == {policy.id for policy in PACK.values() if Shape.HCL in policy.shapes}
    assert [str(finding) for finding in of(report.failed, "hcl") if finding.check.startswith(PREFIX)] == []


def test_failures_have_a_severity_and_reasons(report: Report) -> None:
    found = {finding.check: finding for finding in of(report.failed, "broken")}
    assert set(found) == {"CKV_DIO_4", *(f"CKV_P360_{number}" for number in (5, 7, 15, 37))}
    assert found["CKV_P360_37"].severity == "CRITICAL"
    assert found["CKV_P360_15"].problems == ("set redirect_http_to_https = true",)


def test_sarif_and_junit_have_every_failure(report: Report) -> None:
    runs = json.loads(report.outputs["sarif"])["runs"]
    results = {result["ruleId"]: result for run in runs for result in run["results"]}
    assert {"CKV_P360_15", "CKV_P360_37"} <= set(results)
    assert results["CKV_P360_37"]["level"] == "error"
    assert results["CKV_P360_15"]["attachments"] == [{"description": "set redirect_http_to_https = true"}]
    suites = ElementTree.fromstring(report.outputs["junit"])  # noqa: S314 (checkov wrote it)
    assert sum(1 for _ in suites.iter("failure")) >= len(report.failed) - 1


def test_a_comment_in_hcl_skips_and_needs_a_day(report: Report) -> None:
    found = {finding.check: finding.skip_comment for finding in of(report.skipped, "bare")}
    assert found == {SKIPPED: "until 2027-01-31: it has no private address until the move", BAD_SKIP: "later"}
    _, problems = skips.apply(report, [], PACK.values(), date(2027, 1, 31))
    assert [problem for problem in problems if "bare" in problem] == [
        f"bare/droplet/main.tf digitalocean_droplet.bare: write the comment as "
        f"checkov:skip={BAD_SKIP}:until 2027-03-09: the reason"
    ]
    _, problems = skips.apply(report, [], PACK.values(), date(2027, 2, 1))
    assert any("the skip ended on 2027-01-31" in problem for problem in problems)


def test_a_check_that_is_not_ours_is_in_the_report(report: Report) -> None:
    assert {finding.check for finding in of(report.failed, "bare")} >= {"CKV_DIO_2", "CKV_P360_32"}


def test_the_table_has_a_row_for_each_topic_and_the_failures(report: Report) -> None:
    text = table(report, list(PACK.values()))
    assert text.count("\n") == len({policy.topic for policy in PACK.values()}) + 4
    assert "checkov's own" in text
    shown = failures(of(report.failed, "broken"))
    assert shown.index("CRITICAL  CKV_P360_37") < shown.index("HIGH  CKV_P360_15")
    assert (
        "  broken/staging/cdk.tf.json: digitalocean_loadbalancer.app\n    set redirect_http_to_https" in shown
    )


def test_a_folder_without_stacks_is_an_error_not_a_pass(tmp_path: Path, checkov: Path) -> None:
    with pytest.raises(ScanError, match="Run `make synth` first"):
        scan(tmp_path, checkov)


def test_a_file_that_is_no_json_is_an_error_not_a_pass(tmp_path: Path, checkov: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text('{"resource": ', "utf-8")
    with pytest.raises(ScanError, match="Expecting value"):
        scan(tmp_path, checkov)


OPEN = 'resource "digitalocean_spaces_bucket" "open" {\n  name = "open"\n  region = "fra1"\n  acl = "public-read"\n}\n'


def test_checkov_alone_finds_failures_with_their_lines(tmp_path: Path, checkov: Path) -> None:
    """As docs/policies.md says it can be run: with a relative path, without our program."""
    (tmp_path / "stacks" / "shop").mkdir(parents=True)
    (tmp_path / "stacks" / "shop" / "main.tf").write_text(f"\n{OPEN}", "utf-8")
    command = [
        str(checkov),
        "--directory",
        "stacks",
        "--framework",
        "terraform",
        "--output",
        "json",
        "--compact",
    ]
    command += ["--external-checks-dir", str(ROOT / "policies/checkov/general"), "--skip-download"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    failed = {one["check_id"]: one for one in json.loads(done.stdout)["results"]["failed_checks"]}
    assert failed["CKV_P360_8"]["file_path"] == "/stacks/shop/main.tf"
    assert failed["CKV_P360_8"]["file_line_range"] == [2, 6]
    assert failed["CKV_P360_8"]["details"] == ["set acl = private"]
    assert "CKV_P360_116" not in failed, "Presence360's own are left out"


@pytest.fixture
def broken_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    pack = tmp_path / "checkov" / "all"
    pack.mkdir(parents=True)
    (pack / "__init__.py").touch()
    (pack / "broken.py").write_text("import no_such_module\n", "utf-8")
    monkeypatch.setattr("policies.scan.HERE", tmp_path)
    yield pack


@pytest.mark.usefixtures("broken_pack")
def test_a_policy_that_does_not_load_is_an_error_not_a_pass(tmp_path: Path, checkov: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "cdk.tf.json").write_text(json.dumps({"resource": {"digitalocean_tag": {"a": {}}}}))
    with pytest.raises(ScanError, match="Cannot load external check 'broken'"):
        scan(tmp_path / "stack", checkov)


def test_what_checkov_cannot_parse_is_put_in_a_shape_it_can() -> None:
    stack = {
        "terraform": {"required_version": ">= 1.10", "backend": {"local": {}}},
        "moved": [{"from": "a.b", "to": "a.c"}],
        "resource": {"digitalocean_droplet": {"d": {"user_data": "x" * 501, "tags": ["${local.tag}"]}}},
    }
    found = readable(stack)
    assert found.keys() == {"locals", "resource"}
    assert found["resource"]["digitalocean_droplet"]["d"] == {
        "user_data": "(a long text)",
        "tags": ["${local.tag}"],
    }


def test_the_program_says_when_checkov_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHECKOV", "/nowhere/checkov")
    assert main([]) == 2
    assert "set CHECKOV" in capsys.readouterr().err


def test_every_policy_judges_some_shape() -> None:
    assert all(policy.shapes and policy.shapes <= ALL for policy in PACK.values())
