"""A stand-in of an application that brings a schema, with real Alembic; its folder `app` is an image's context."""

import hashlib
import os
import subprocess
from pathlib import Path

from ops.paths import ROOT

APP = Path(__file__).parent / "app"
LOCK = APP / "requirements.lock"


def environment_with_alembic() -> Path:
    """Return the folder of programs with Alembic, installed from the application's lock when it is first needed.

    Raises:
        OSError: uv is not installed.
        CalledProcessError: a package cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    folder = cache / f"alembic-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not (folder / "bin/alembic").exists():
        uv = str(ROOT / ".venv/bin/uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(folder)], check=True)
        install = ["pip", "install", "--quiet", "--require-hashes", "--python", str(folder / "bin/python")]
        subprocess.run([uv, *install, "--requirement", str(LOCK)], check=True)
    return folder / "bin"
