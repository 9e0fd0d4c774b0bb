"""Run checkov once over a copy of a folder's stacks, in a form that it can parse.

checkov 3.3.30 exits with 0 when it scanned nothing: with a framework that does not fit, with a file that it cannot
parse, and when a policy cannot be imported. Of Terraform JSON it cannot parse a file with `required_version`, or with
`moved`, `import` or `removed` blocks. So it gets a copy that it can parse, while the policies read the originals; an
error that it only logs is a failure here; and a policy that judged nothing anywhere is one too.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.files import find, shape_of
from policies.policy import Policy
from policies.stack import Shape

HERE = Path(__file__).resolve().parent
DEFAULT_CHECKOV = HERE.parent / ".venv-checkov" / "bin" / "checkov"
FRAMEWORKS = {Shape.JSON: "terraform_json", Shape.HCL: "terraform", Shape.PLAN: "terraform_plan"}
LONG = 500
"""Characters: user data, programs and policies, no argument that checkov has a check of."""
BROKE_DOWN = re.compile(r"\[ERROR\]  Failed to run check (\S+) on /(.+?):(\S+)")
OUTPUTS = {"sarif": ("sarif", "results_sarif.sarif"), "junit": ("junitxml", "results_junitxml.xml")}
"""What checkov's --output and --output-file-path call them."""


class ScanError(Exception):
    """The stacks could not be scanned completely."""


@dataclass(frozen=True)
class Finding:
    """One check on one resource, as checkov reports it."""

    check: str
    file: str
    resource: str
    title: str
    problems: tuple[str, ...] = ()
    severity: str = ""
    skip_comment: str = ""

    def __str__(self) -> str:
        return "\n    ".join([f"{self.check}  {self.file}  {self.resource}", self.title, *self.problems])


@dataclass(frozen=True)
class Report:
    """What checkov found.

    Attributes:
        passed: checks that hold.
        failed: checks that do not.
        skipped: checks that a comment in HCL skips.
        outputs: the texts of SARIF and JUnit, by name.
    """

    passed: list[Finding]
    failed: list[Finding]
    skipped: list[Finding]
    outputs: dict[str, str]

    def judged_nothing(self, policies: Iterable[Policy]) -> list[Policy]:
        """Return the policies without a verdict on anything."""
        seen = {finding.check for finding in (*self.passed, *self.failed, *self.skipped)}
        return [policy for policy in policies if policy.id not in seen]


def find_checkov() -> Path | None:
    """Return the program that CHECKOV names, or else the one in .venv-checkov, or in PATH; None if there is none."""
    named = os.environ.get("CHECKOV")
    path = Path(named or DEFAULT_CHECKOV)
    if not named and not path.is_file():
        path = Path(shutil.which("checkov") or path)
    return path if path.is_file() else None


def scan(folder: Path, checkov: Path, *, pack: str = "all", outputs: Collection[str] = ()) -> Report:
    """Run checkov once over every stack below a folder.

    Args:
        folder: with Terraform JSON, HCL, plans in JSON, or all of them.
        checkov: the program.
        pack: the folder below policies/checkov that it loads.
        outputs: further ones, of OUTPUTS.

    Raises:
        ScanError: it did not read all of them.
    """
    folder = folder.resolve()
    files = find(folder) if folder.is_dir() else []
    if not files:
        raise ScanError(
            f"there is no stack below {folder}: no .tf.json, .tf or plan in JSON. Run `make synth` first"
        )
    with tempfile.TemporaryDirectory() as temporary:
        copy, results = Path(temporary, "stacks").resolve(), Path(temporary, "results")
        shapes = {_copy(file, copy / file.relative_to(folder)) for file in files}
        command = [
            str(checkov),
            "--directory",
            str(copy),
            "--external-checks-dir",
            str(HERE / "checkov" / pack),
        ]
        command += ["--framework", *sorted(FRAMEWORKS[shape] for shape in shapes)]
        for output in ("json", *(OUTPUTS[name][0] for name in outputs)):
            command += ["--output", output]
        command += ["--output-file-path", str(results), "--skip-download", "--compact"]
        environment = os.environ | {
            "LOG_LEVEL": "WARNING",  # an error is the only sign of a policy that did not load
            "CHECKOV_GRAPH_FRAMEWORK": "RUSTWORKX",  # policies/checkov/adapter.py reads this one
            "PYTHONDONTWRITEBYTECODE": "1",
            "POLICIES_COPY": str(copy),
            "POLICIES_ORIGINAL": str(folder),
        }
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        log = done.stderr.replace(str(copy), "")
        answer = results / "results_json.json"
        if "[ERROR]" in BROKE_DOWN.sub("", log) or done.returncode not in (0, 1) or not answer.is_file():
            raise ScanError(f"checkov ended with {done.returncode}:\n{log}{done.stdout}")
        texts = {name: (results / OUTPUTS[name][1]).read_text("utf-8") for name in outputs}
        return _report(json.loads(answer.read_text("utf-8")), log, texts)


def _copy(file: Path, target: Path) -> Shape:
    shape = shape_of(file)
    if shape is None:
        raise ScanError(f"{file} is no stack any more")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if shape is Shape.JSON:
            target.write_text(json.dumps(readable(json.loads(file.read_text("utf-8"))), indent=2), "utf-8")
        else:
            shutil.copy(file, target)
    except ValueError as error:
        raise ScanError(f"{file}: {error}") from error
    return shape


def readable(stack: dict[str, Any]) -> dict[str, Any]:
    """Return Terraform JSON in a form that checkov can parse, and soon.

    Its own checks look at resources alone. It cannot parse blocks without a label, such as `moved`, nor a text as a
    setting of `terraform`; and it takes most of its time for long texts, in which nothing is to be checked.
    """
    kept: dict[str, Any] = {kind: _short(stack[kind]) for kind in ("resource", "data") if kind in stack}
    return {"locals": {"so_that_it_is_never_empty": ""}, **kept}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_short(child) for child in value]
    return "(a long text)" if isinstance(value, str) and len(value) > LONG else value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _report(answer: Any, log: str, outputs: dict[str, str]) -> Report:
    # One report for each framework; the summary's resource_count is 0 whatever was scanned, and an empty one has no
    # results.
    found = [one.get("results", {}) for one in _as_list(answer)]
    unreadable = [file for one in found for file in one.get("parsing_errors", [])]
    if unreadable:
        raise ScanError(f"checkov could not read {unreadable}:\n{log}")
    passed, failed, skipped = (
        [_finding(record) for one in found for record in one.get(f"{kind}_checks", [])]
        for kind in ("passed", "failed", "skipped")
    )
    if not passed and not failed:
        raise ScanError(f"checkov found nothing to check in the stacks:\n{log}")
    return Report(passed, failed + _broke_down(log), skipped, outputs)


def _broke_down(log: str) -> list[Finding]:
    """Return the checks that raised an error: they have no verdict in checkov's answer (CKV_DIO_4 on `dynamic`)."""
    return [
        Finding(check, file, resource, "the check failed with an error on it")
        for check, file, resource in BROKE_DOWN.findall(log)
    ]


def _finding(record: dict[str, Any]) -> Finding:
    return Finding(
        record["check_id"],
        record["file_path"].lstrip("/"),
        record["resource"],
        record["check_name"],
        tuple(record.get("details") or ()),
        record.get("severity") or "",
        str((record.get("check_result") or {}).get("suppress_comment") or ""),
    )
