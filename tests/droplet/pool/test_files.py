"""What PgBouncer is told, and what of the tenants' credentials objects is not believed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from droplet.pool.credentials import Login, Place, read_places
from droplet.pool.files import Sizes, digest_of, render

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
SOCKETS = Path("/run/presence360/postgres")


def value(tenant: str, **changes: object) -> dict[str, Any]:
    return {
        "host": "private-pg.example.org",
        "port": 25060,
        "ca": "PEM of the cluster\n",
        "database": f"tenant_{tenant}",
        "user": f"tenant_{tenant}_g2",
        "password": "new",
        "previous": [{"user": f"tenant_{tenant}_g1", "password": 'old "quoted"'}],
        **changes,
    }


def write(folder: Path, **objects: object) -> None:
    for tenant, content in objects.items():
        (folder / f"{tenant}.json").write_text(json.dumps(content), encoding="utf-8")


def test_an_object_becomes_a_place_with_its_logins_newest_first(tmp_path: Path) -> None:
    write(tmp_path, **{ONE: value(ONE)})
    places, problems = read_places(tmp_path)
    assert problems == {}
    logins = (Login(f"tenant_{ONE}_g2", "new"), Login(f"tenant_{ONE}_g1", 'old "quoted"'))
    assert places == [Place(f"tenant_{ONE}", "private-pg.example.org", 25060, "PEM of the cluster", logins)]


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
        {"password": "two\nlines"},
        {"password": None},
        {"previous": None},
    ],
)
def test_an_object_that_says_something_else_is_left_out_and_not_quoted(
    tmp_path: Path, change: dict[str, object]
) -> None:
    write(tmp_path, **{ONE: value(ONE, **change), TWO: value(TWO)})
    places, problems = read_places(tmp_path)
    assert [place.database for place in places] == [f"tenant_{TWO}"]
    assert re.fullmatch(
        r"does not have the form that Terraform writes \((ValueError|TypeError)\)", problems[f"{ONE}.json"]
    )


def test_a_name_that_is_no_tenants_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, control_plane=value(ONE))
    assert read_places(tmp_path) == (
        [],
        {"control_plane.json": "does not have the form that Terraform writes (ValueError)"},
    )


def rendered(tmp_path: Path, sizes: Sizes) -> dict[str, str]:
    write(tmp_path, **{ONE: value(ONE), TWO: value(TWO, previous=[], ca="another PEM")})
    places, _ = read_places(tmp_path)
    return render(places, sizes, Path("/state"), SOCKETS)


def test_each_user_is_let_in_to_its_own_database_alone(tmp_path: Path) -> None:
    files = rendered(tmp_path, Sizes(1))
    assert files["hba.conf"].splitlines() == [
        f'local "tenant_{ONE}" "tenant_{ONE}_g2","tenant_{ONE}_g1" scram-sha-256',
        f'local "tenant_{TWO}" "tenant_{TWO}_g2" scram-sha-256',
    ]
    assert f'"tenant_{ONE}_g1" "old ""quoted"""' in files["userlist.txt"].splitlines()
    assert files["ca.pem"] == "PEM of the cluster\nanother PEM\n"


def test_a_pool_has_its_size_and_a_database_as_much_for_each_generation(tmp_path: Path) -> None:
    text = rendered(tmp_path, Sizes(2, {f"tenant_{TWO}": 5}))["pgbouncer.ini"]
    lines = dict(line.split(" = ", 1) for line in text.splitlines() if line.startswith("tenant_"))
    assert "pool_size='2' max_db_connections='4' " in lines[f"tenant_{ONE}"]
    assert "pool_size='5' max_db_connections='5' " in lines[f"tenant_{TWO}"]
    assert "host='private-pg.example.org' port='25060'" in lines[f"tenant_{ONE}"]
    assert "max_client_conn = 110\n" in text


def test_no_password_is_in_the_configuration_and_nothing_listens_on_tcp(tmp_path: Path) -> None:
    text = rendered(tmp_path, Sizes(1))["pgbouncer.ini"]
    assert "quoted" not in text
    assert "listen_addr = \n" in text
    assert "server_tls_sslmode = verify-full\n" in text
    assert "admin_users = \n" in text


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    files = rendered(tmp_path, Sizes(1))
    assert len({digest_of(files), *(digest_of({**files, name: "other"}) for name in files)}) == len(files) + 1
