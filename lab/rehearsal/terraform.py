"""Terraform, or OpenTofu, in the folder of one stack."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.rehearsal.changes import Plan
from lab.rehearsal.errors import CannotRehearseError, UnexpectedError

PROGRAM_VARIABLE = "TERRAFORM_BINARY_NAME"
PLAN_FILE = "rehearsal.plan"
LOCK_OF_PROVIDERS = ".terraform.lock.hcl"
NO_CHANGES, CHANGES = 0, 2
"""Exit codes of `plan -detailed-exitcode`; 1 is an error."""

_INSTALL = (
    "`brew install opentofu` or `snap install --classic opentofu` installs OpenTofu (then set "
    f"{PROGRAM_VARIABLE}=tofu); README.md, First deploy, says which versions do."
)
_CALLERS = ("TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_LOG")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def program() -> str:
    """Return the program that is Terraform here.

    Raises:
        CannotRehearseError: there is none.
    """
    name = os.environ.get(PROGRAM_VARIABLE) or "terraform"
    if shutil.which(name) is None:
        raise CannotRehearseError(f"{name} is not installed: {_INSTALL}")
    return name


class Terraform:
    """One stack.

    Attributes:
        folder: where its cdk.tf.json is.
        environment: what Terraform gets besides this process's own variables.
    """

    def __init__(self, folder: Path, data: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            # A caller's token, proxies and arguments are none of a rehearsal's.
            **{name: value for name, value in os.environ.items() if not name.startswith(_CALLERS)},
            **self._variables(),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            "TF_DATA_DIR": str(data),
            **environment,
        }

    def _variables(self) -> dict[str, str]:
        """Give every variable a value that is obviously no secret."""
        stack = json.loads((self.folder / "cdk.tf.json").read_text(encoding="utf-8"))
        return {f"TF_VAR_{name}": "not-a-secret" for name in stack.get("variable", {})}

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [program(), *arguments, "-no-color"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def must(self, *arguments: str) -> str:
        """Run a command; return what it wrote.

        Raises:
            UnexpectedError: it failed.
        """
        ended = self.run(*arguments)
        if ended.returncode:
            raise UnexpectedError(
                f"{program()} {arguments[0]} failed:\n{_readable(ended.stderr + ended.stdout)}"
            )
        return ended.stdout

    @property
    def is_ready(self) -> bool:
        """Whether the provider is there already."""
        return Path(self.environment["TF_DATA_DIR"]).exists() and (self.folder / LOCK_OF_PROVIDERS).exists()

    def init(self) -> None:
        """Get the provider.

        Raises:
            CannotRehearseError: it cannot be had.
        """
        ended = self.run("init", "-input=false")
        if ended.returncode:
            raise CannotRehearseError(
                "the DigitalOcean provider is not installed and cannot be had here: "
                f"`{program()} -chdir=cdktf.out/stacks/staging init` after `make synth` gets it from the registry, or "
                f"from a mirror that the CLI configuration names.\n{_readable(ended.stderr)}"
            )

    def plan(self, *more: str) -> Plan:
        """Plan, and keep the plan for `apply`.

        Raises:
            UnexpectedError: Terraform or the provider refused.
        """
        self.must("plan", "-input=false", f"-out={PLAN_FILE}", *more)
        return Plan.read(json.loads(self.must("show", "-json", PLAN_FILE)))

    def refused(self) -> str:
        """Plan what must be refused; return why it was.

        Raises:
            UnexpectedError: it was not refused.
        """
        ended = self.run("plan", "-input=false")
        if ended.returncode != 1:
            raise UnexpectedError("the plan was to be refused, and was not")
        return _readable(ended.stderr)

    def apply(self) -> None:
        """Apply the plan that was kept.

        Raises:
            UnexpectedError: something failed on the way.
        """
        self.must("apply", "-input=false", PLAN_FILE)

    def is_settled(self) -> bool:
        """Tell whether a plan of what was just applied is empty."""
        ended = self.run("plan", "-input=false", "-detailed-exitcode")
        if ended.returncode not in (NO_CHANGES, CHANGES):
            raise UnexpectedError(f"the second plan failed:\n{_readable(ended.stderr)}")
        return ended.returncode == NO_CHANGES

    def start_apply(self) -> "subprocess.Popen[str]":
        """Start applying in a process group of its own, to be killed with its provider."""
        return subprocess.Popen(
            self.command("apply", "-input=false", "-auto-approve"),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


def _readable(text: str) -> str:
    """Return Terraform's messages without their frames."""
    lines = (_COLOURS.sub("", line).strip("╷│╵ \t") for line in text.splitlines())
    return "\n".join(f"    {line}" for line in lines if line)
