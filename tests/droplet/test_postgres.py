"""The client programs, with a shell script as psql: how they are found, started and ended."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from droplet import postgres
from droplet.configuration import Cluster

CLUSTER = Cluster(
    name="shared",
    host="pg.example.org",
    port=25060,
    user="doadmin",
    password="a:b\\c",
    database="defaultdb",
    sslmode="verify-full",
    ca="-----BEGIN CERTIFICATE-----\n",
)


def client(tmp_path: Path, psql: str, settings: Mapping[str, str] | None = None) -> postgres.Client:
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\n{psql}\n", encoding="utf-8")
    program.chmod(0o755)
    return postgres.Client.prepare(
        CLUSTER, tmp_path / "private", tmp_path, application="a-test", settings=settings
    )


def test_a_script_gets_its_variables_and_libpqs_environment(tmp_path: Path) -> None:
    reached = client(tmp_path, 'echo "$PGAPPNAME $PGOPTIONS $@"; echo said >&2; exit 3', settings={"a": "b"})
    code, output, messages = reached.run_script("tenant", Path("/scripts/one.sql"), {"limit": "5"}, 10)
    assert (code, messages) == (3, "said\n")
    options = " ".join(f"-c {name}={value}" for name, value in postgres.SETTINGS.items())
    assert output == (
        f"a-test {options} -c a=b --no-psqlrc --no-password --dbname tenant --file /scripts/one.sql --set limit=5\n"
    )


def test_a_psql_that_does_not_end_is_killed(tmp_path: Path) -> None:
    found = client(tmp_path, "exec sleep 60").run_script("tenant", Path("one.sql"), {}, 0.5)
    assert found == (-1, "", "psql: no end after 0 s")


def test_a_psql_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    reached = client(tmp_path, "")
    (tmp_path / "psql").unlink()
    code, _, messages = reached.run_script("tenant", Path("one.sql"), {}, 1)
    assert (code, "No such file" in messages) == (-1, True)


def test_no_other_user_can_read_the_passwords_folder_or_a_file_in_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o755)
    (private / "pgpass").write_text("left by another run", encoding="utf-8")
    (private / "pgpass").chmod(0o644)
    client(tmp_path, "")
    for name, text in (("pgpass", "pg.example.org:25060:*:doadmin:a\\:b\\\\c\n"), ("ca.pem", CLUSTER.ca)):
        assert (private / name).read_text(encoding="utf-8") == text
        assert (private / name).stat().st_mode & 0o777 == 0o600
    assert "a:b" not in repr(CLUSTER)


def test_the_newest_version_that_has_a_program_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "DEBIAN_VERSIONS", tmp_path)
    assert postgres.newest_programs("psql") is None
    for version, program in (
        ("15", "pg_dump"),
        ("9", "psql"),
        ("15", "psql"),
        ("17", "postgres"),
    ):
        (tmp_path / version / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / version / "bin" / program).touch()
    assert postgres.newest_programs("psql") == tmp_path / "15/bin"


def test_an_identifier_is_quoted() -> None:
    assert postgres.quoted('a "b"') == '"a ""b"""'


def test_sessions_find_nothing_by_a_path_and_end_when_nobody_is_there() -> None:
    """What tests/isolation shows on real servers."""
    assert postgres.SETTINGS["search_path"] == ""
    idle, interval, count = (
        int(postgres.SETTINGS[f"tcp_keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle + interval * count <= 60
    assert postgres.SETTINGS["idle_session_timeout"] == "60s"


def test_no_file_of_the_users_home_is_looked_for(tmp_path: Path) -> None:
    """Root's is closed to units, and libpq gives up where it may not look for a certificate."""
    reached = client(tmp_path, 'echo "$HOME"')
    assert reached.run_script("tenant", Path("one.sql"), {}, 10)[1] == f"{tmp_path / 'private'}\n"
