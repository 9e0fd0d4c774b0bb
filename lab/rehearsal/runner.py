"""Runner of a rehearsal: it deploys the environment once, and runs the scenarios on copies of it."""

import json
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from lab.rehearsal.changes import summary
from lab.rehearsal.cloud import Cloud
from lab.rehearsal.errors import CannotRehearseError, expect
from lab.rehearsal.judged import remember
from lab.rehearsal.scene import SCENARIOS, Scenario, Scene, Stopwatch
from lab.rehearsal.workspace import Workspace
from model.errors import InvalidInputError
from ops.arguments import told
from ops.errors import OperationError
from ops.paths import ENVIRONMENTS

# The provider sleeps between its requests, so more lanes than processors are faster.
LANES = 5


@dataclass
class Result:
    """The result of a scenario.

    Attributes:
        scenario: which one.
        seconds: how long it took.
        said: its lines of output.
        problem: why it failed; empty if it did not.
    """

    scenario: Scenario
    seconds: float
    said: list[str] = field(default_factory=list)
    problem: str = ""


def chosen(names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios to run: the named ones, and those that come before them in their lanes.

    Raises:
        CannotRehearseError: there is no such scenario.
    """
    known = {one.name: one for one in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CannotRehearseError(f"there is no scenario {', '.join(map(told, unknown))}: --list shows them")
    if not names:
        return list(SCENARIOS)
    last = {
        known[name].lane: SCENARIOS.index(known[name])
        for name in sorted(names, key=lambda n: _place(known[n]))
    }
    return [one for one in SCENARIOS if one.lane in last and _place(one) <= last[one.lane]]


def _place(scenario: Scenario) -> int:
    return SCENARIOS.index(scenario)


def first_apply(scene: Scene) -> None:
    """Deploy an environment for the first time, as README.md says, and check that the next plan is empty."""
    scene.workspace.synthesize()
    make_default_network(scene)
    terraform = scene.terraform()
    terraform.install()
    plan = terraform.make_plan()
    expect(
        all(change.actions == ("create",) for change in plan), "a first plan does something else than create"
    )
    terraform.apply_plan()
    expect(terraform.is_settled(), "the second plan is not empty")
    remember(scene.workspace)
    scene.say(f"{len(plan)} resources made ({summary(plan)})")


def make_default_network(scene: Scene) -> None:
    """Do step 4 of README.md, First deploy: the first VPC of a region becomes its default and can never be deleted."""
    stack = json.loads((scene.workspace.stack() / "cdk.tf.json").read_text(encoding="utf-8"))
    for vpc in stack["resource"]["digitalocean_vpc"].values():
        scene.cloud.ask("POST", "/v2/vpcs", {"name": f"default-{vpc['region']}", "region": vpc["region"]})


def rehearse(
    scratch: Path,
    environment: str,
    scenarios: Sequence[Scenario],
    tell: Callable[[Result], None],
    files: Path = ENVIRONMENTS,
) -> list[Result]:
    """Deploy an environment and run scenarios on copies of it; report each result as soon as it is known.

    Raises:
        CannotRehearseError: Terraform or the provider is missing.
        OperationError: the first apply failed.
    """
    base = Workspace.new(scratch / "base", environment, files=files)
    watch, said = Stopwatch(), list[str]()
    with Cloud(base.cloud) as cloud:
        scene = Scene(base, cloud, said)
        first_apply(scene)
    deploy = Scenario(
        "deploy", f"{environment} is deployed for the first time, and the next plan is empty", "", _nothing
    )
    results = [Result(deploy, watch.seconds, said)]
    tell(results[0])
    lanes = [
        list(group)
        for _, group in groupby(sorted(scenarios, key=lambda one: one.lane), key=lambda one: one.lane)
    ]
    with ThreadPoolExecutor(LANES) as pool:
        # Long lanes start first, so that none of them starts when the others end.
        lanes.sort(key=lambda lane: (not lane[0].fresh, -len(lane)))
        for finished in pool.map(lambda lane: _run_lane(base, scratch, lane, tell), lanes):
            results += finished
    return results


def _nothing(_scene: Scene) -> None:
    """Do nothing: the deploy was made before."""


def _run_lane(
    base: Workspace, scratch: Path, lane: Sequence[Scenario], tell: Callable[[Result], None]
) -> list[Result]:
    """Run the scenarios of a lane on one copy, until one of them fails."""
    folder = scratch / lane[0].lane
    workspace = base.afresh(folder) if lane[0].fresh else base.fork(folder)
    results = []
    with _postgres_folder(lane[0]) as options, Cloud(workspace.cloud, *options) as cloud:
        for scenario in lane:
            result = _run(scenario, Scene(workspace, cloud))
            results.append(result)
            tell(result)
            if result.problem:
                break
    return results


@contextmanager
def _postgres_folder(scenario: Scenario) -> Iterator[Sequence[str]]:
    """Yield the options with a folder for Postgres servers, which do not run as root."""
    if not scenario.postgres:
        yield ()
        return
    with tempfile.TemporaryDirectory(prefix="rehearsal-postgres-") as folder:
        Path(folder).chmod(0o711)
        yield ("--postgres", folder)


def _run(scenario: Scenario, scene: Scene) -> Result:
    watch, problem = Stopwatch(), ""
    try:
        scenario.run(scene)
    except (OperationError, InvalidInputError) as error:
        problem = str(error)
    except CannotRehearseError:
        raise
    except Exception:
        problem = traceback.format_exc()
    return Result(scenario, watch.seconds, scene.said, problem)
