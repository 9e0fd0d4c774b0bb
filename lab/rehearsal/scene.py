"""What a scenario works with: the deployed environment, and the list of scenarios."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.rehearsal.changes import Plan
from lab.rehearsal.cloud import Cloud
from lab.rehearsal.errors import expect
from lab.rehearsal.judged import check, remember
from lab.rehearsal.terraform import Terraform
from lab.rehearsal.workspace import Workspace
from ops.paths import ROOT

WAIT_VARIABLE = "PRESENCE360_WAIT_SECONDS"
SERVING_LIMIT = "60"
"""Seconds that a deploy waits for a droplet; those of the local DigitalOcean serve within five."""


@dataclass
class Scene:
    """A deployed environment that a scenario changes.

    Attributes:
        workspace: its files and state.
        cloud: the local DigitalOcean that it runs on.
        said: the scenario's lines of output.
    """

    workspace: Workspace
    cloud: Cloud
    said: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line of output."""
        self.said.append(line)

    def terraform(self, stack: str | None = None) -> Terraform:
        """Return Terraform in the folder of a stack, as it was synthesized last."""
        environment = {**self.cloud.environment, WAIT_VARIABLE: SERVING_LIMIT}
        return Terraform(self.workspace.stack(stack), self.workspace.data(stack), environment)

    def plan(self, stack: str | None = None) -> Plan:
        """Synthesize, and plan a stack."""
        self.workspace.synthesize()
        return self.terraform(stack).make_plan()

    def apply(self, plan: Plan, stack: str | None = None, *, first: bool = False) -> None:
        """Print what a plan changes, have the guard judge it, apply it, and check that the next plan is empty."""
        for line in plan.lines():
            self.say(line)
        check(self.workspace, plan, first=first)
        terraform = self.terraform(stack)
        terraform.apply_plan()
        expect(terraform.is_settled(), "the second plan is not empty")
        remember(self.workspace)

    def deploy(self, stack: str) -> None:
        """Plan and apply a stack as it was synthesized last."""
        terraform = self.terraform(stack)
        terraform.install()
        terraform.make_plan()
        terraform.apply_plan()

    def change(self, stack: str | None = None) -> Plan:
        """Synthesize, plan and apply; return the plan."""
        plan = self.plan(stack)
        self.apply(plan, stack)
        return plan

    def wait_for_release(self, deployed: str = "") -> tuple[int, str]:
        """Do what `presence360 apply` does when Terraform has ended; return its exit code and what it said.

        Args:
            deployed: what an apply wrote; without it, what the buckets hold now.
        """
        files = self.workspace.folder / "environments"
        command = [sys.executable, "-m", "ops.ci", "wait", "--environment", self.workspace.environment]
        ended = subprocess.run(
            [*command, "--environments", str(files), "--deployed", deployed],
            cwd=ROOT,
            env={**os.environ, **self.cloud.environment, WAIT_VARIABLE: SERVING_LIMIT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout

    def tenant(self, identifier: str, **fields: Any) -> None:
        """Edit a tenant's entry; a field that is None is removed."""

        def edit(tenants: list[dict[str, Any]]) -> None:
            entry = next(one for one in tenants if one["id"] == identifier)
            for name, value in fields.items():
                if value is None:
                    entry.pop(name, None)
                else:
                    entry[name] = value

        self.workspace.edit_tenants(edit)


@dataclass(frozen=True)
class Scenario:
    """A change that is rehearsed.

    Attributes:
        name: what it is called on the command line.
        title: what happens, in one sentence.
        lane: the scenarios of a lane run one after the other on one copy of the environment; lanes run in parallel.
        run: the function.
        fresh: whether it starts with an empty account.
        postgres: whether a real Postgres server is behind each cluster.
    """

    name: str
    title: str
    lane: str
    run: Callable[[Scene], None]
    fresh: bool = False
    postgres: bool = False


SCENARIOS: list[Scenario] = []
"""All scenarios, in the order of the list."""


def scenario(
    name: str, title: str, *, lane: str, fresh: bool = False, postgres: bool = False
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register the decorated function as a scenario."""

    def decorate(run: Callable[[Scene], None]) -> Callable[[Scene], None]:
        SCENARIOS.append(Scenario(name, title, lane, run, fresh, postgres))
        return run

    return decorate


class Stopwatch:
    """Measures time, in seconds."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begin


PRINTING = threading.Lock()
"""Held while a scenario's lines are printed, so that those of two lanes do not mix."""
