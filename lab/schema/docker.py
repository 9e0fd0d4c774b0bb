"""Docker's client as far as migrations need it: every image is the application, and a container is a process.

`python docker.py FOLDER PROGRAMS <arguments of docker>`: the application's folder, and that of its image's programs.
"""

import os
import re
import sys

DIGEST = f"sha256:{'ab' * 32}"
"""Of every image."""


def main(folder: str, programs: str, *arguments: str) -> None:
    """Do what Docker would do."""
    if arguments[:2] == ("image", "inspect"):
        print(f"{DIGEST} []")
    elif arguments[0] == "run":
        _run(folder, programs, arguments)


def _run(folder: str, programs: str, arguments: tuple[str, ...]) -> None:
    command = arguments[arguments.index(DIGEST) + 1 :]
    with open(arguments[arguments.index("--env-file") + 1], encoding="utf-8") as file:  # noqa: PTH123  quick to start
        environment = dict(line.rstrip("\n").split("=", 1) for line in file)
    mounted = re.match(
        r"type=bind,source=(.*),target=(.*),readonly", arguments[arguments.index("--mount") + 1]
    )
    if mounted is None:
        raise SystemExit("no certificate authority is mounted")
    environment = {name: value.replace(mounted[2], mounted[1]) for name, value in environment.items()}
    os.chdir(folder)
    # As in the container: the image's programs, and no variable of this process.
    environment["PATH"] = f"{programs}:/usr/bin:/bin"
    os.execve(f"{programs}/{command[0]}", command, environment)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
