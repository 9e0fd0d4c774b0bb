"""The command before it reaches a server: arguments, configurations, and what a run leaves behind."""

import json
from pathlib import Path

import pytest

from droplet.by_hand import find_cluster
from droplet.move_tenant.command import main
from droplet.outcome import RefusedError

ID = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
LIMITS = {
    "connections": 5,
    "overrides": {},
    "statement_timeout_ms": 1,
    "idle_in_transaction_timeout_ms": 1,
    "extensions": [],
}


def write(folder: Path, file: str, *names: str) -> None:
    clusters = [
        {
            "name": name,
            "host": f"{name}.example.org",
            "port": 1,
            "user": "doadmin",
            "password": "secret-word",
            "database": "defaultdb",
            "sslmode": "verify-full",
            "ca": "authority",
        }
        for name in names
    ]
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps({"clusters": clusters, **LIMITS}), encoding="utf-8")


def test_a_cluster_is_found_in_the_configuration_of_any_stack(tmp_path: Path) -> None:
    write(tmp_path, "environment.json", "shared")
    write(tmp_path, "cell-2.json", "cell-2", ID)
    assert find_cluster(tmp_path, ID).host == f"{ID}.example.org"
    assert find_cluster(tmp_path, "shared").host == "shared.example.org"


def test_what_there_is_and_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    write(tmp_path, "environment.json", "shared")
    (tmp_path / "cell-2.json").write_text('{"clusters": [{"password": "secret-word"', encoding="utf-8")
    with pytest.raises(RefusedError, match=r"there are: shared\. Not readable: cell-2\.json\.$"):
        find_cluster(tmp_path, "cell-2")
    with pytest.raises(RefusedError, match="there are: none"):
        find_cluster(tmp_path / "nowhere", "shared")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([ID.upper(), "--from", "shared", "--to", "other"], f"'{ID.upper()}' is not the id of a tenant"),
        ([ID, "--from", "shared", "--to", "shared"], "source and target are the same cluster"),
        ([ID, "--from", "shared", "--to", "other"], "there is no cluster 'other'"),
    ],
)
def test_a_wrong_argument_is_refused_and_no_password_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    # As on a machine where /run cannot be written to.
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write(tmp_path / "configurations", "environment.json", "shared")
    more = ["--configurations", str(tmp_path / "configurations"), "--programs", str(tmp_path)]
    assert main([*arguments, *more]) == 2
    assert capsys.readouterr().err.startswith(f"refused: {told}")
    assert list((tmp_path / "temporary").iterdir()) == []
