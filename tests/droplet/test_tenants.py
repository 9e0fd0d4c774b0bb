"""The folder in which nginx looks whether a host name is a tenant's."""

import hashlib
import json
from pathlib import Path

import pytest

from droplet.converge.paths import Paths
from droplet.converge.tenants import KEY, mark_tenants


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(state=tmp_path / "state")
    found.manifests.mkdir(parents=True)
    return found


def fetched(paths: Paths, text: str, *, listed: str | None = None) -> None:
    (paths.incoming / KEY).write_text(text)
    digest = hashlib.sha256((listed or text).encode()).hexdigest()
    (paths.manifests / "environment.json").write_text(json.dumps({"objects": {KEY: digest}}))
    mark_tenants(paths)


def slugs(*names: str) -> str:
    return json.dumps({"slugs": names})


def marked(paths: Paths) -> set[str]:
    return {path.name for path in paths.tenants.iterdir()}


def test_a_tenant_has_a_file_while_it_is_on_the_list(paths: Paths) -> None:
    fetched(paths, slugs("grace", "zion"))
    assert marked(paths) == {"grace", "zion"}
    fetched(paths, slugs("grace", "hope"))
    assert marked(paths) == {"grace", "hope"}
    # nginx's workers are not root.
    assert paths.tenants.stat().st_mode & 0o755 == 0o755


def test_without_a_list_there_is_no_folder_and_nginx_passes_every_name_on(paths: Paths) -> None:
    mark_tenants(paths)
    assert not paths.tenants.exists()


def test_nothing_leaves_the_folder(paths: Paths) -> None:
    fetched(paths, slugs("grace", "../../../etc/x", "a/b", "", "."))
    assert marked(paths) == {"grace"}


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"slugs": 7}', '{"slugs": [7]}'])
def test_a_list_that_is_broken_changes_nothing(
    paths: Paths, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched(paths, slugs("grace"))
    fetched(paths, text)
    assert marked(paths) == {"grace"}
    assert "tenants.json is not a list of slugs" in capsys.readouterr().out


def test_a_list_that_is_not_the_manifests_changes_nothing(paths: Paths) -> None:
    fetched(paths, slugs("grace"))
    fetched(paths, slugs("zion"), listed="another")
    assert marked(paths) == {"grace"}
