"""Install a configuration: check all of it first, write what changed, and tell those who read it.

What is refused leaves everything as it was, so that a mistake in a rule does not end the alerts.
"""

import grp
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from droplet.converge.errors import CommandError
from droplet.converge.paths import write
from droplet.converge.processes import Run
from droplet.journal import INFO, log
from droplet.observability.files import CONFIGURATION, SECRETS, UNITS, File, secret_files

SECONDS = 60


class ConfigurationError(Exception):
    """The configuration is not in force; what was before is. The message quotes no secret."""


def own(path: Path, group: str) -> None:
    """Let a group read a file of root's."""
    os.chown(path, 0, grp.getgrnam(group).gr_gid)


@dataclass(frozen=True)
class Configurer:
    """Brings the droplet to what its bucket says.

    Attributes:
        run: runs a program.
        folder: where the files are.
        given: observability.json and observability-secrets.json.
        own: gives a file to a group.
    """

    run: Run
    folder: Path
    given: Path
    own: Callable[[Path, str], None] = own

    def configure(self) -> None:
        """Do it once.

        Raises:
            ConfigurationError: some of it cannot be used, or a unit does not start.
        """
        texts = {
            name: text
            for name, text in self._read("observability.json")["files"].items()
            if name in CONFIGURATION
        }
        try:
            hidden = secret_files(self._read("observability-secrets.json"))
        except (KeyError, TypeError):
            raise ConfigurationError(
                "observability-secrets.json does not have the form that Terraform writes"
            ) from None
        if missing := sorted(CONFIGURATION.keys() - texts.keys()):
            raise ConfigurationError(f"observability.json lacks {', '.join(missing)}")
        self._check(texts)
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o755, parents=True, exist_ok=True)
        changed = self._write(self.folder, texts, CONFIGURATION) | self._write(secrets, hidden, SECRETS)
        for left in {path.name for path in secrets.iterdir()} - hidden.keys():
            (secrets / left).unlink()
        self._tell(changed)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.given / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ConfigurationError(f"{name} cannot be read, or is not JSON") from None
        if not isinstance(value, dict):
            raise ConfigurationError(f"{name} is not a JSON object")
        return value

    def _check(self, texts: Mapping[str, str]) -> None:
        """Let each program check its own files, of those that differ from what runs."""
        drafts = self.folder / "drafts"
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir(mode=0o755, parents=True)
        for name, text in texts.items():
            if _content(self.folder / name) == text:
                continue
            (drafts / name).write_text(text, encoding="utf-8")
            command = [part.replace("{}", str(drafts / name)) for part in CONFIGURATION[name].check]
            try:
                self.run(command, {}, SECONDS)
            except CommandError as error:
                raise ConfigurationError(f"{name} is refused: {error}") from error
        shutil.rmtree(drafts)

    def _write(self, folder: Path, texts: Mapping[str, str], files: Mapping[str, File]) -> set[File]:
        changed = set()
        for name, text in texts.items():
            path, file = folder / name, files[name]
            if _content(path) == text:
                continue
            if file.group is None:
                write(path, text.encode(), mode=0o644)
            else:
                # Its reader may not read it before it is complete: it has its group before it has its name.
                draft = folder / f".{name}.draft"
                write(draft, text.encode(), mode=0o640)
                self.own(draft, file.group)
                draft.replace(path)
            changed.add(file)
            log(INFO, f"{name} is new")
        return changed

    def _tell(self, changed: set[File]) -> None:
        problems = []
        for unit in UNITS:
            ours = [file for file in changed if file.unit == unit]
            verb = (
                "restart" if any(file.restart for file in ours) else "reload-or-restart" if ours else "start"
            )
            try:
                self.run(["systemctl", verb, "--no-block", unit], {}, SECONDS)
            except CommandError as error:
                problems.append(f"{unit}: {error}")
        if problems:
            raise ConfigurationError("; ".join(problems))


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
