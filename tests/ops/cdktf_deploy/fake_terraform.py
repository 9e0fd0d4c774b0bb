"""A Terraform that plans what it is told and records how it was called. `install` makes a program of it.

It runs as a process of its own, so it imports nothing of this repository.
"""

# ruff: noqa: T201  (what it prints is what Terraform prints)

import os
import signal
import stat
import sys
import time
import zipfile
from pathlib import Path

CALLS, SHOWN, SLOW, MODES = "calls", "shown.json", "slow", "modes"
STATE = '{"lineage": "a-lineage", "serial": 7}'
SLOW_SECONDS = 1.5
"""How long a slow apply takes to end after an interrupt."""


def install(folder: Path, shown: str) -> Path:
    """Write the program and the plan that it shows; return the program."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHOWN).write_text(shown, encoding="utf-8")
    program = folder / "fake-terraform"
    program.write_text(
        f'#!/bin/sh\nFAKE={folder} exec {sys.executable} -I {Path(__file__).resolve()} "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o700)
    return program


def calls(folder: Path) -> list[str]:
    """Return the command lines that it got, and what became of a slow apply."""
    file = folder / CALLS
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _record(folder: Path, line: str) -> None:
    with (folder / CALLS).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _slow_apply(folder: Path) -> int:
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    print("Creating...", flush=True)
    _record(folder, "applying")
    while not interrupts:
        time.sleep(0.01)
    time.sleep(SLOW_SECONDS)
    _record(folder, f"ended after {len(interrupts)} interrupt")
    return 1


def _main(argv: list[str], folder: Path) -> int:
    if argv[:1] in (["version"], ["-v"]):
        print('{"terraform_version": "1.11.4"}' if "-json" in argv else "Terraform v1.11.4")
        return 0
    _record(folder, " ".join(argv))
    match argv[0]:
        case "plan":
            if "-detailed-exitcode" in os.environ.get("TF_CLI_ARGS_plan", ""):  # noqa: SIM112  (Terraform's name)
                return 2
            file = Path(next(word for word in argv if word.startswith("-out=")).removeprefix("-out="))
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("tfstate", STATE)
            modes = [stat.S_IMODE(one.stat().st_mode) for one in (file.parent, file)]
            (folder / MODES).write_text(" ".join(f"{mode:o}" for mode in modes), encoding="utf-8")
            print("This is the plan.")
            return int("-target=fail" in argv)
        case "show":
            print((folder / SHOWN).read_text(encoding="utf-8"))
        case "state":
            print(STATE)
        case "output":
            print("{}")
        case "apply" if (folder / SLOW).exists():
            return _slow_apply(folder)
        case "apply":
            print("Apply complete!")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:], Path(os.environ["FAKE"])))
