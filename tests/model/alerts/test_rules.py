"""Every alert fires when it has to, and only then: the rules that vmalert gets, in Prometheus's own unit tests.

One file of tests is read by both promtool and vmalert-tool, so that a rule means the same to both.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud_init.alert_rules import render_rules
from lab.metrics_programs import MissingError, metrics_programs
from model.alerts import ALERTS
from model.dashboards import ADDRESS
from tests.model.alerts.cases import CASES, Series

EVERY = "1m"
"""How often a test evaluates its rule."""

VMALERT = (
    sorted(CASES)
    if os.environ.get("PRESENCE360_EVERY_ALERT")
    else (
        # One of each kind of expression; `make prove-alerts` takes all.
        *(
            "DropletSilent",
            "NoDropletFound",
            "ConvergeNotRun",
            "ErrorsBurnFast",
            "QueueLag",
            "ConnectionsUsedUp",
            "Watchdog",
        ),
    )
)


@pytest.fixture(scope="module")
def programs() -> Path:
    try:
        return metrics_programs()
    except MissingError as error:
        pytest.skip(str(error))


KNOWN = {"environment": "staging", "base_domain": "staging.presence360.app"}


def rendered(*, dashboards: bool = False) -> str:
    return render_rules(
        environment=KNOWN["environment"], base_domain=KNOWN["base_domain"], dashboards=dashboards
    )


def _with(text: str, labels: Mapping[str, str]) -> str:
    for name, value in KNOWN.items():
        text = text.replace(f"<{name.replace('_', ' ')}>", value)
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], text)


def _test(name: str, series: Series, *, fires: bool, at: str, labels: Mapping[str, str]) -> dict[str, Any]:
    alert = ALERTS[name]
    expected = {
        "exp_labels": {**labels, "severity": alert.severity.value},
        "exp_annotations": {
            "summary": _with(alert.sentence, labels),
            "first": _with(alert.first, labels),
            "runbook": alert.runbook,
        },
    }
    return {
        "name": f"{name} {'fires' if fires else 'is quiet'}",
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": [expected] if fires else []}],
    }


def _write(folder: Path, name: str, tests: list[dict[str, Any]], *, dashboards: bool = False) -> Path:
    """Write a file of tests with one alert's rule: a test evaluates every rule of its file, at each minute."""
    rules = json.loads(rendered(dashboards=dashboards))
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] == name]
    rules["groups"] = [group for group in rules["groups"] if group["rules"]]
    (folder / f"{name}.rules").write_text(json.dumps(rules), encoding="utf-8")
    file = folder / f"{name}.yaml"
    content = {"rule_files": [str(folder / f"{name}.rules")], "evaluation_interval": EVERY, "tests": tests}
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return file


def _both(folder: Path, name: str) -> Path:
    case = CASES[name]
    both = ((case.fires, True), (case.quiet, False))
    tests = [_test(name, series, fires=fires, at=case.at, labels=case.labels) for series, fires in both]
    return _write(folder, name, tests)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_every_alert_has_a_case() -> None:
    assert sorted(CASES) == sorted(ALERTS)


def test_promtool_agrees(programs: Path, tmp_path: Path) -> None:
    _run(programs / "promtool", "test", "rules", *(_both(tmp_path, name) for name in CASES))


@pytest.mark.parametrize("name", VMALERT)
def test_vmalert_agrees(programs: Path, tmp_path: Path, name: str) -> None:
    file = _both(tmp_path, name)
    _run(programs / "vmalert-tool", "unittest", "--disableAlertgroupLabel", f"--files={file}")


def test_vmalert_takes_every_rule(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rendered(), encoding="utf-8")
    _run(programs / "vmalert", "-dryRun", f"-rule={tmp_path}/rules.yaml")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DropletSilent", "/d/presence360-droplets?var-droplet=staging-app-1-3fa9c2"),
        # It is about no droplet, or about none that is known.
        ("NoDropletFound", "/d/presence360-droplets"),
        ("ValkeyMemoryUsedUp", "/d/presence360-data"),
        ("NameDown", "/d/presence360-overview"),
    ],
)
def test_an_alert_leads_to_its_dashboard(programs: Path, tmp_path: Path, name: str, address: str) -> None:
    """With a Grafana: the template is Prometheus's, and both programs fill it in."""
    case = CASES[name]
    test = _test(name, case.fires, fires=True, at=case.at, labels=case.labels)
    (expected,) = test["alert_rule_test"][0]["exp_alerts"]
    expected["exp_annotations"]["dashboard"] = f"{ADDRESS}{address}"
    file = _write(tmp_path, name, [test], dashboards=True)
    _run(programs / "promtool", "test", "rules", file)
    _run(programs / "vmalert", "-dryRun", f"-rule={tmp_path}/{name}.rules")


@pytest.mark.parametrize("name", ["DropletSilent", "ConnectionsUsedUp"])
def test_a_case_that_is_wrong_is_found(programs: Path, tmp_path: Path, name: str) -> None:
    """With the series of the quiet case, the alert does not fire, and promtool says so."""
    case = CASES[name]
    wrong = _test(name, case.quiet, fires=True, at=case.at, labels=case.labels)
    with pytest.raises(AssertionError, match="FAILED"):
        _run(programs / "promtool", "test", "rules", _write(tmp_path, name, [wrong]))
