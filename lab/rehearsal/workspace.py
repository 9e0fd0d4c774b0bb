"""A scratch copy of the operators' files, with what is synthesized and deployed from it."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.local_digitalocean.server import CALLS_FILE
from lab.rehearsal.errors import CannotRehearseError, UnexpectedError
from lab.rehearsal.terraform import PLAN_FILE
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import TENANTS_FILE, load_environments
from model.plan import plan_environment
from model.state import PROVIDER_LOCK_FILE
from ops.arguments import told
from ops.paths import ENVIRONMENTS, ROOT

ENVIRONMENT_FILE = "environment.yaml"

Stack = dict[str, Any]
Adjust = Callable[[Stack], None]

# cdktf's kernel takes one program at a time.
_SYNTH = threading.Lock()

POLL_SECONDS, SETTLE_SECONDS = "1", "2"
"""The first in place of 15 s; the second in place of the minutes that stacks of earlier checkouts wait for nothing."""


class Workspace:
    """A folder with all that a deploy needs: files, stacks, state, and the state of the local DigitalOcean.

    Attributes:
        folder: where it is.
        environment: the environment that is rehearsed.
        source: the checkout whose program synthesizes.
        files: the operators' files to use with this checkout; another checkout brings its own.
        adjustments: edits of the environment's stack that the operators' files cannot express.
        providers: where Terraform keeps the stacks' providers; copies of a workspace share it.
    """

    def __init__(
        self, folder: Path, environment: str, source: Path = ROOT, files: Path = ENVIRONMENTS
    ) -> None:
        self.folder, self.environment, self.source, self.files = folder, environment, source, files
        self.adjustments: list[Adjust] = []
        self.providers = folder / "terraform-data"

    @classmethod
    def new(
        cls, folder: Path, environment: str, source: Path = ROOT, files: Path = ENVIRONMENTS
    ) -> "Workspace":
        """Start with the operators' files of a checkout, or with the stacks that another one synthesized."""
        folder.mkdir(parents=True)
        workspace = cls(folder, environment, source, files)
        workspace.become(source)
        return workspace

    def become(self, source: Path) -> None:
        """Switch to another checkout's files; what is deployed stays.

        Raises:
            CannotRehearseError: it has no such environment.
        """
        self.source = source
        files = self._files_of(source)
        if self.synthesized:
            source = ROOT
        elif not (files / self.environment).is_dir():
            known = ", ".join(sorted(path.name for path in files.iterdir() if path.is_dir()))
            raise CannotRehearseError(f"there is no environment {told(self.environment)}: {known}")
        else:
            shutil.rmtree(self.folder / "environments", ignore_errors=True)
            shutil.copytree(files, self.folder / "environments")
        # Stacks run programs of their checkout by relative paths (`python3 -m ops.wait_until_serving` in ../../..).
        for link in self.folder.iterdir():
            if link.is_symlink():
                link.unlink()
        for room in source.iterdir():
            if room.is_dir() and any(room.glob("*.py")) and not (self.folder / room.name).exists():
                (self.folder / room.name).symlink_to(room)

    def knows(self, source: Path) -> bool:
        """Whether a checkout or an output folder has the environment."""
        folders = (self._files_of(source), source / "stacks")
        return any((folder / self.environment).is_dir() for folder in folders)

    def _files_of(self, source: Path) -> Path:
        return self.files if source == ROOT else source / "environments"

    @property
    def synthesized(self) -> bool:
        """Whether the source is an output folder, not a checkout."""
        return (self.source / "stacks").is_dir() and not (self.source / "main.py").exists()

    def fork(self, folder: Path) -> "Workspace":
        """Copy everything, while neither Terraform nor the local DigitalOcean runs in it."""
        left_out = shutil.ignore_patterns(CALLS_FILE, PLAN_FILE, "*.backup", self.providers.name)
        shutil.copytree(self.folder, folder, symlinks=True, ignore=left_out)
        return self._sharing(Workspace(folder, self.environment, self.source, self.files))

    def afresh(self, folder: Path) -> "Workspace":
        """Return a new workspace with the same files and providers, and nothing deployed."""
        workspace = self._sharing(Workspace.new(folder, self.environment, self.source, self.files))
        for lock in self.folder.glob(f"cdktf.out/stacks/*/{PROVIDER_LOCK_FILE}"):
            workspace.stack(lock.parent.name).mkdir(parents=True)
            shutil.copy(lock, workspace.stack(lock.parent.name))
        return workspace

    def _sharing(self, other: "Workspace") -> "Workspace":
        other.providers = self.providers
        return other

    @property
    def cloud(self) -> Path:
        """Where the local DigitalOcean keeps its state."""
        return self.folder / "cloud"

    def stack(self, name: str | None = None) -> Path:
        """Return the folder of a stack; the environment's own unless another is named."""
        return self.folder / "cdktf.out" / "stacks" / (name or self.environment)

    def data(self, name: str | None = None) -> Path:
        """Return where Terraform keeps a stack's provider."""
        return self.providers / (name or self.environment)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit the environment's file as data. Comments are lost, which is fine in a scratch copy."""
        self._edit(ENVIRONMENT_FILE, change)

    def edit_tenants(
        self, change: Callable[[list[dict[str, Any]]], None], *, keep_lock: bool = False
    ) -> None:
        """Edit the tenants' file, and write its lock, as `presence360 tenant lock` does."""
        self._edit(TENANTS_FILE, lambda document: change(document["tenants"]))
        if not keep_lock:
            self.write_lock()

    def _edit(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        file = self.folder / "environments" / self.environment / name
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(document)
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def write_lock(self) -> None:
        """Write the lock of the tenants' file as it is now.

        Raises:
            InvalidInputError: the files are invalid, or would lose a tenant's data.
        """
        found = next(
            one
            for one in load_environments(self.folder / "environments")
            if one.file.environment == self.environment
        )
        lock = self.folder / "environments" / self.environment / LOCK_FILE
        lock.write_text(format_lock(found.tenants, self.environment), encoding="utf-8")

    def synthesize(self) -> None:
        """Do what `make synth` does, with the state in a file, and adjust the stacks."""
        if self.synthesized:
            self._copy_stacks()
        elif self.source == ROOT:
            self._synthesize_here()
        else:
            self._synthesize_elsewhere()
        for file in self.folder.glob("cdktf.out/stacks/*/cdk.tf.json"):
            stack = json.loads(file.read_text(encoding="utf-8"))
            hurry(stack)
            path = f"../../../terraform.{file.parent.name}.tfstate"
            stack["terraform"]["backend"] = {
                "local": {"path": path}
            }  # the output of another checkout may name a bucket
            if file.parent.name == self.environment:
                for adjust in self.adjustments:
                    adjust(stack)
            file.write_text(json.dumps(stack), encoding="utf-8")

    def _copy_stacks(self) -> None:
        for file in self.source.glob("stacks/*/cdk.tf.json"):
            folder = self.stack(file.parent.name)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)

    def _synthesize_here(self) -> None:
        from stacks.app import synthesize  # noqa: PLC0415  (loads the framework, which --list and --help need not)

        environments = load_environments(self.folder / "environments")
        with _SYNTH:
            plans = [plan_environment(environment) for environment in environments]
            synthesize(plans, self.folder / "cdktf.out", local_state=True)

    def _synthesize_elsewhere(self) -> None:
        command = [
            sys.executable,
            str(self.source / "main.py"),
            "--environments",
            str(self.folder / "environments"),
        ]
        ended = subprocess.run(
            [*command, "--outdir", str(self.folder / "cdktf.out")],
            cwd=self.source,
            env={**os.environ, "PRESENCE360_STATE": "local"},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise UnexpectedError(f"{self.source} cannot be synthesized:\n{ended.stderr}")


def hurry(stack: Stack) -> None:
    """Remove from a stack what only the real DigitalOcean needs.

    The provider's throttle stays below DigitalOcean's rate limit, which the local DigitalOcean does not have. Its
    droplets serve within seconds, so the wait for them asks every second.
    """
    for provider in stack["provider"]["digitalocean"]:
        provider.pop("requests_per_second", None)
    for wait in stack.get("resource", {}).get("terraform_data", {}).values():
        for provisioner in wait.get("provisioner", ()):
            interpreter = provisioner["local-exec"]["interpreter"]
            if "--poll" not in interpreter:
                options = next(at for at, word in enumerate(interpreter) if word.startswith("--"))
                interpreter[options:options] = ["--poll", POLL_SECONDS]
            if "--settle" in interpreter:
                interpreter[interpreter.index("--settle") + 1] = SETTLE_SECONDS


def lift_protection(stack: Stack) -> None:
    """Remove `prevent_destroy` from a stack."""
    for resources in stack["resource"].values():
        for resource in resources.values():
            resource.get("lifecycle", {}).pop("prevent_destroy", None)


def give_up_buckets(stack: Stack) -> None:
    """Let buckets be deleted with their objects."""
    for bucket in stack["resource"].get("digitalocean_spaces_bucket", {}).values():
        bucket["force_destroy"] = True
