"""What PgBouncer is told, and what of the tenants' credentials objects is not believed."""

import json
import re
from pathlib import Path

import pytest

from droplet.pool.credentials import Login, Place, read_places
from droplet.pool.files import Sizes, digest_of, render
from tests.droplet.pool.stand_in import ONE, OTHER_PEM, PEM, TWO, value

SOCKETS = Path("/run/presence360/postgres")


def write(folder: Path, **objects: object) -> None:
    for tenant, content in objects.items():
        (folder / f"{tenant}.json").write_text(json.dumps(content), encoding="utf-8")


def test_an_object_becomes_a_place_with_its_logins_newest_first(tmp_path: Path) -> None:
    write(tmp_path, **{ONE: value(ONE)})
    places, problems = read_places(tmp_path, tmp_path / "good")
    assert problems == {}
    logins = (Login(f"tenant_{ONE}_g2", "new"), Login(f"tenant_{ONE}_g1", 'old "quoted"'))
    assert places == [Place(f"tenant_{ONE}", "private-pg.example.org", 25060, PEM.strip(), logins, None)]


@pytest.mark.parametrize(
    "change",
    [
        {"database": f"tenant_{TWO}"},
        {"user": f"tenant_{TWO}_g1"},
        {"user": "pgbouncer"},
        {"previous": [{"user": f"tenant_{TWO}_g1", "password": "stolen"}]},
        {"host": "one.example.org,other.example.org"},
        {"host": "example.org' connect_query='DROP TABLE x"},
        {"port": "many"},
        {"port": 0},
        {"port": 65536},
        {"ca": ""},
        {"ca": None},
        {"ca": "no certificate"},
        {"ca": PEM.replace("M", "-", 3)},
        {"ca": PEM + PEM[:200]},
        {"password": "two\nlines"},
        {"password": None},
        {"previous": None},
        {"pool": {}},
    ],
)
def test_an_object_that_says_something_else_is_left_out_and_not_quoted(
    tmp_path: Path, change: dict[str, object]
) -> None:
    write(tmp_path, **{ONE: value(ONE, **change), TWO: value(TWO)})
    places, problems = read_places(tmp_path, tmp_path / "good")
    assert [place.database for place in places] == [f"tenant_{TWO}"]
    assert re.fullmatch(
        r"does not have the form that Terraform writes \((ValueError|TypeError|KeyError)\)",
        problems[f"{ONE}.json"],
    )


def test_of_an_authority_only_its_certificates_are_passed_on(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"  # pragma: allowlist secret
    write(tmp_path, **{ONE: value(ONE, ca=f"a comment\n{PEM}{key}{OTHER_PEM}")})
    ((place,), problems) = read_places(tmp_path, tmp_path / "good")
    assert problems == {}
    assert place.ca == (PEM + OTHER_PEM).strip()


def test_a_name_that_is_no_tenants_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, control_plane=value(ONE))
    assert read_places(tmp_path, tmp_path / "good") == (
        [],
        {"control_plane.json": "does not have the form that Terraform writes (ValueError)"},
    )


def rendered(tmp_path: Path, sizes: Sizes) -> dict[str, str]:
    write(
        tmp_path,
        **{ONE: value(ONE), TWO: value(TWO, previous=[], ca=OTHER_PEM, pool={"connections": 15})},
    )
    places, _ = read_places(tmp_path, tmp_path / "good")
    return render(places, sizes, Path("/state"), SOCKETS)


def test_each_user_is_let_in_to_its_own_database_alone(tmp_path: Path) -> None:
    files = rendered(tmp_path, Sizes(1, 1))
    assert files["hba.conf"].splitlines() == [
        f'local "tenant_{ONE}" "tenant_{ONE}_g2","tenant_{ONE}_g1" scram-sha-256',
        f'local "tenant_{TWO}" "tenant_{TWO}_g2" scram-sha-256',
    ]
    assert f'"tenant_{ONE}_g1" "old ""quoted"""' in files["userlist.txt"].splitlines()
    assert files["ca.pem"] == "".join(sorted((PEM, OTHER_PEM)))


def test_a_pool_has_its_size_and_a_database_as_much_for_each_generation(tmp_path: Path) -> None:
    text = rendered(tmp_path, Sizes(3, 8))["pgbouncer.ini"]
    lines = dict(line.split(" = ", 1) for line in text.splitlines() if line.startswith("tenant_"))
    assert "pool_size='2' max_db_connections='4' " in lines[f"tenant_{ONE}"]
    assert "pool_size='5' max_db_connections='5' " in lines[f"tenant_{TWO}"]
    assert "host='private-pg.example.org' port='25060'" in lines[f"tenant_{ONE}"]
    assert "max_client_conn = 110\n" in text


def test_no_password_is_in_the_configuration_and_nothing_listens_on_tcp(tmp_path: Path) -> None:
    text = rendered(tmp_path, Sizes(1, 1))["pgbouncer.ini"]
    assert "quoted" not in text
    assert "listen_addr = \n" in text
    assert "server_tls_sslmode = verify-full\n" in text
    assert "admin_users = \n" in text


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    files = rendered(tmp_path, Sizes(1, 1))
    assert len({digest_of(files), *(digest_of({**files, name: "other"}) for name in files)}) == len(files) + 1
