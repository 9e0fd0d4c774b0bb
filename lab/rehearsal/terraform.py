"""Terraform, or OpenTofu, in the folder of one rehearsed stack."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import CannotRehearseError, UnexpectedError
from model.state import PROVIDER_LOCK_FILE
from ops import terraform
from ops.plan_json import parse_plan
from ops.terraform import BINARY_VARIABLE, CHANGES, NO_CHANGES, readable
from policies.plan import read_plan

PLAN_FILE = "rehearsal.plan"

_INSTALL = (
    "`brew install opentofu` or `snap install --classic opentofu` installs OpenTofu (then set "
    f"{BINARY_VARIABLE}=tofu); README.md, First deploy, says which versions are supported."
)
# A rehearsal takes none of the caller's secrets, arguments and workspaces.
_CALLERS = ("TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_LOG")


class Terraform(terraform.Terraform):
    """One stack of a workspace."""

    def __init__(self, folder: Path, data: Path, environ: Mapping[str, str]) -> None:
        """Prepare the variables.

        Args:
            folder: where the stack's cdk.tf.json is.
            data: where Terraform keeps the stack's provider.
            environ: variables besides those of this process.

        Raises:
            CannotRehearseError: Terraform is not installed.
        """
        stack = json.loads((folder / "cdk.tf.json").read_text(encoding="utf-8"))
        super().__init__(
            folder,
            {
                **{name: value for name, value in os.environ.items() if not name.startswith(_CALLERS)},
                **{f"TF_VAR_{name}": "not-a-secret" for name in stack.get("variable", {})},
                "TF_DATA_DIR": str(data),
                **environ,
            },
        )
        if shutil.which(self.program) is None:
            raise CannotRehearseError(f"{self.program} is not installed: {_INSTALL}")

    @property
    def is_ready(self) -> bool:
        """Whether the provider is installed already."""
        return Path(self.environ["TF_DATA_DIR"]).exists() and (self.folder / PROVIDER_LOCK_FILE).exists()

    def install(self) -> None:
        """Install the provider, unless it is installed already.

        Raises:
            CannotRehearseError: neither a registry nor a mirror has it.
        """
        if self.is_ready:
            return
        ended = self.run("init", "-input=false")
        if ended.returncode:
            raise CannotRehearseError(
                "the DigitalOcean provider is not installed and cannot be downloaded here: "
                f"`{self.program} -chdir=cdktf.out/stacks/staging init` after `make synth` gets it from the registry, "
                f"or from a mirror that the CLI configuration names.\n{readable(ended.stderr)}"
            )

    def make_plan(self, *more: str) -> Plan:
        """Plan, and keep the plan for `apply_plan`."""
        self.plan(PLAN_FILE, *more)
        shown, name = self.show(PLAN_FILE), self.folder.name
        return Plan(parse_plan(shown, name), read_plan(json.loads(shown), f"{name}/plan.json"))

    def apply_plan(self) -> None:
        """Apply the plan that was kept."""
        self.apply(PLAN_FILE)

    def apply(self, file: Path | str) -> None:
        """Apply a plan file, without printing the progress: rehearsals run side by side in threads."""
        self.must("apply", "-input=false", str(file))

    def refused(self, *more: str) -> str:
        """Make a plan that Terraform has to refuse; return why it does.

        Raises:
            UnexpectedError: it does not refuse.
        """
        ended = self.run("plan", "-input=false", *more)
        if ended.returncode != 1:
            raise UnexpectedError("Terraform was expected to refuse the plan, and did not")
        return readable(ended.stderr)

    def is_settled(self) -> bool:
        """Whether a plan of what was just applied is empty."""
        arguments = ("plan", "-input=false", "-detailed-exitcode")
        return self.must(*arguments, allowed=(NO_CHANGES, CHANGES)).returncode == NO_CHANGES

    def start_apply(self) -> "subprocess.Popen[str]":
        """Start to apply in a process group of its own, which can be killed with its provider."""
        return subprocess.Popen(
            self.command("apply", "-input=false", "-auto-approve"),
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
