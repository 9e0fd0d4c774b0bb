"""The bootstep of lab/services in a real Celery worker: in maintenance it takes nothing, and no task is lost."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"


@pytest.fixture(scope="module")
def celery() -> Path:
    """A folder with Celery and what it needs, by the lock; installed once on a machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / f"celery-{python}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        install = [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", "--target", str(draft), "--requirement", str(LOCK)),
        ]
        installed = subprocess.run(install, capture_output=True, text=True, check=False)
        if installed.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            pytest.skip(f"Celery cannot be installed here: {installed.stderr[-300:]}")
        draft.rename(folder)
    return folder


def test_a_worker_takes_nothing_for_whom_is_in_maintenance_and_loses_nothing(
    celery: Path, tmp_path: Path
) -> None:
    told = tmp_path / "maintenance.json"
    # Of the application only its bootstep is imported: the rest wants a Valkey.
    package = tmp_path / "church"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(ROOT / "lab/services/backend/church/maintenance.py", package)
    done = subprocess.run(
        [sys.executable, HERE / "worker.py", told],
        env={"PYTHONPATH": f"{tmp_path}:{celery}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "closed before the start": [],
        "but for one": ["platform", "tenant-b:work"],
        "closed": [],
        "open": ["platform", "tenant-a:work", "tenant-a:work", "tenant-b:work"],
    }
