"""Staging at a local DigitalOcean in this process, once for all tests; each of them puts right what it breaks."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.checked.estate import Estate
from lab.local_digitalocean.clock import Durations
from lab.local_digitalocean.server import Server
from model.loader import load_environments
from tests.ops.check.made import make
from tests.ops.command.conftest import commit
from tests.support import ENVIRONMENTS

AT_ONCE = Durations(
    droplet=0, action=0, cluster=0, load_balancer=0, certificate=0, pool=0, firewall=0, serving=0, release=0
)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    root = tmp_path_factory.mktemp("checkout")
    (root / "README.md").write_text("A checkout.\n", encoding="utf-8")
    commit(root)
    server = Server(durations=AT_ONCE).start()
    server.spaces.forget()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            if "proxy" in name.lower():
                patch.setenv(name, value)
        (environment,) = [
            one for one in load_environments(_files(tmp_path_factory)) if one.file.environment == "staging"
        ]
        made = Estate(environment, server.environment(), root, root / "cdktf.out")
        make(made)
        made.speak()
        time.sleep(0.05)
        yield made
        made.close()
    server.stop()


def _files(folders: pytest.TempPathFactory) -> Path:
    """Staging as it is, with all that production has besides: dumps and migrations."""
    import shutil  # noqa: PLC0415

    files = folders.mktemp("files") / "environments"
    shutil.copytree(ENVIRONMENTS, files)
    staging, production = (files / name / "environment.yaml" for name in ("staging", "production"))
    text = production.read_text(encoding="utf-8")
    sections = text[text.index("backups:") : text.index("limits:")]
    staging.write_text(f"{staging.read_text(encoding='utf-8')}\n{sections}", encoding="utf-8")
    return files
