"""What tests share: real synths, made once, edits of the operators' files, and one hypothesis profile."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support import ENVIRONMENTS, LIVE_ENVIRONMENTS, Stack, synthesize_folder, write_lives

# A run means the same everywhere, and a slow machine fails nothing.
settings.register_profile("stable", derandomize=True, deadline=None, database=None)
settings.load_profile("stable")

# Whether the test that runs now may not read the operators' own files.
_kept_apart = False


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker, and watch which files this process opens."""
    config.addinivalue_line(
        "markers", "live: reads the operators' own environments/, which no other test may"
    )
    sys.addaudithook(_watch)


# Longest first, or one worker boots droplets while the others have nothing left.
_LONG = ("droplet", "rehearsal", "terraform", "isolation", "slow")
# Leaves droplets with other services than the tests of droplets start with.
_LAST = "tests/droplets/test_services.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by the longest kind of test in them, but for the last; within a file, nothing moves.

    What is nightly skips.
    """
    ranks: dict[Path, int] = {}
    for item in items:
        rank = next(
            (number for number, name in enumerate(_LONG) if item.get_closest_marker(name)), len(_LONG)
        )
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: (ranks[item.path], item.path.as_posix().endswith(_LAST)))
    if not os.environ.get("PRESENCE360_NIGHTLY"):
        for item in items:
            if nightly := item.get_closest_marker("nightly"):
                item.add_marker(pytest.mark.skip(reason=f"takes minutes: `make prove-{nightly.args[0]}`"))


# A laboratory is kept until its worker ends, and takes minutes to boot: one worker has all tests of booted droplets.
_BOOTED = "tests/droplets/"


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # untyped
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _BOOTED if file.startswith(_BOOTED) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Make what hands out the tests: a file's go to one worker."""
    return _Scheduling(config, log)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _kept_apart and event == "open" and str(arguments[0]).startswith(f"{LIVE_ENVIRONMENTS}/"):
        raise AssertionError(
            f"{arguments[0]} is the operators' own: tests read tests/environments (ENVIRONMENTS of tests/support.py), "
            "or an edit of the operators' files would fail them"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep every test from the operators' own files, unless it is marked `live`."""
    global _kept_apart  # noqa: PLW0603 (an audit hook has no other way to learn of it, and cannot be taken away)
    _kept_apart = item.get_closest_marker("live") is None
    try:
        return (yield)
    finally:
        _kept_apart = False


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip what needs the real provider, before anything is made for it: Terraform says at once whether it has it."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: nothing is validated, planned or applied by it")
    folder = tmp_path_factory.mktemp("provider")
    needs = {"terraform": {"required_providers": {"digitalocean": {"source": "digitalocean/digitalocean"}}}}
    (folder / "main.tf.json").write_text(json.dumps(needs), encoding="utf-8")
    ended = subprocess.run(
        ["terraform", "init", "-input=false"], cwd=folder, capture_output=True, check=False
    )
    if ended.returncode:
        pytest.skip(
            "terraform cannot get the digitalocean/digitalocean provider here (no registry, no mirror in its CLI "
            "configuration): nothing is validated, planned or applied by it"
        )


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of `tests/environments/`."""
    outdir = tmp_path_factory.mktemp("cdktf.out")
    synthesize_folder(ENVIRONMENTS, outdir)
    return outdir


@pytest.fixture(scope="session")
def staging(synthesized: Path) -> Stack:
    return Stack.read(synthesized, "staging")


@pytest.fixture(scope="session")
def production(synthesized: Path) -> Stack:
    return Stack.read(synthesized, "production")


@pytest.fixture(scope="session")
def production_drill(synthesized: Path) -> Stack:
    return Stack.read(synthesized, "production-restore-drill")


@pytest.fixture(scope="session")
def bootstrap(synthesized: Path) -> Stack:
    return Stack.read(synthesized, "bootstrap")


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an environment with a tenant in every state."""
    folder = tmp_path_factory.mktemp("lives")
    synthesize_folder(write_lives(folder / "environments"), folder / "cdktf.out")
    return folder / "cdktf.out"


@pytest.fixture(scope="session")
def staging_lives(lives: Path) -> Stack:
    return Stack.read(lives, "staging")


@pytest.fixture(scope="session")
def staging_cell_2(lives: Path) -> Stack:
    return Stack.read(lives, "staging-cell-2")


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Stack]:
    """Synthesize staging with edits: ``edited(("replicas: 1", "replicas: 3"))`` in its environment.yaml."""

    def synthesize(
        *edits: tuple[str, str], tenants: str | None = None, local_state: bool = False, stack: str = "staging"
    ) -> Stack:
        folder = tmp_path / "environments" / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        text = (ENVIRONMENTS / "staging/environment.yaml").read_text(encoding="utf-8")
        for old, new in edits:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the file"
            text = text.replace(old, new)
        (folder / "environment.yaml").write_text(text, encoding="utf-8")
        if tenants is None:
            tenants = (ENVIRONMENTS / "staging/tenants.yaml").read_text(encoding="utf-8")
        (folder / "tenants.yaml").write_text(tenants, encoding="utf-8")
        synthesize_folder(tmp_path / "environments", tmp_path / "out", local_state=local_state)
        return Stack.read(tmp_path / "out", stack)

    return synthesize
