"""A tenant's own code in what move_tenant touches: it never runs with more than that tenant's rights."""

import re
from pathlib import Path

import pytest

from lab.managed_cluster import ADMINISTRATOR, Cluster
from tests.isolation.conftest import BOTH, TENANT, Pair, Pairs

VERSIONS = [(15, False), (17, False)] + ([(16, True), (17, True)] if BOTH else [])

PAYLOAD = """
CREATE FUNCTION public.payload() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE before text := current_setting('role');
BEGIN
    PERFORM pg_catalog.set_config('role', 'none', true);
    RAISE WARNING 'payload as %', session_user;
    CREATE ROLE stolen;
    PERFORM pg_catalog.set_config('role', before, true);
    RETURN true;
EXCEPTION WHEN OTHERS THEN RETURN true;
END $$;
"""
"""Leaves whatever role it runs as, says as whom it was called, and takes what it can."""

OPERATOR = """
CREATE FUNCTION public.compare(name, name) RETURNS boolean LANGUAGE sql AS
    $$ SELECT public.payload() AND $1::text OPERATOR(pg_catalog.!~) $2::text $$;
CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = name, FUNCTION = public.compare);
"""

CAST = """
CREATE FUNCTION public.shown(people) RETURNS text LANGUAGE sql AS
    $$ SELECT CASE WHEN public.payload() THEN $1.name END $$;
CREATE CAST (people AS text) WITH FUNCTION public.shown(people);
"""

CHECK = """
ALTER TABLE households ADD CONSTRAINT checked CHECK (public.payload());
"""


def attack(pair: Pair, *statements: str) -> None:
    with pair.source.as_tenant(TENANT) as connection:
        if pair.source.server.major == 15:
            connection.execute("ALTER TABLE people NO FORCE ROW LEVEL SECURITY")
        for statement in (PAYLOAD, *statements):
            connection.execute(statement.encode())
    for cluster in (pair.source, pair.target):
        (cluster.server.folder / "log").write_text("", encoding="utf-8")


def ran_as(cluster: Cluster) -> set[str]:
    """As whom the payload was called, a work login's digits left out."""
    return {
        re.sub("_work_[0-9a-f]{8}$", "_work", role)
        for role in re.findall(r"payload as (\S+)", (cluster.server.folder / "log").read_text())
    }


def stolen(pair: Pair) -> bool:
    question = "SELECT 1 FROM pg_roles WHERE rolname = 'stolen'"
    return any(cluster.superuser(question) for cluster in (pair.source, pair.target))


@pytest.mark.parametrize(("major", "administers"), VERSIONS)
def test_code_of_the_tenants_has_the_tenants_rights_alone(
    pairs: Pairs, major: int, administers: bool
) -> None:
    pair = pairs(major, major, administers)
    attack(pair, OPERATOR, CAST, CHECK)
    # In a run that is refused, too.
    assert pair.move().returncode == 2
    assert (ran_as(pair.source), stolen(pair)) == (set(), False)
    pair.suspend()
    done = pair.move()
    assert done.returncode == 0, done.stdout + done.stderr
    work = {f"{TENANT.database}_work"}
    # The cast when both are compared, the constraint when rows are restored.
    assert (ran_as(pair.source), ran_as(pair.target)) == (work, work)
    assert not stolen(pair)
    assert pair.move("--check").returncode == 0
    assert not stolen(pair)
    for cluster in (pair.source, pair.target):
        assert cluster.superuser("SELECT rolname FROM pg_roles WHERE rolname ~ '_work_'") == []


def change(pair: Pair, file: str, *pairs_of_text: tuple[str, str]) -> None:
    path = Path(pair.source.droplet / "programs/droplet" / file)
    text = path.read_text(encoding="utf-8")
    for before, after in pairs_of_text:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_with_a_search_path_an_operator_runs_as_the_administrator(pairs: Pairs) -> None:
    """What keeps it out is the empty path: without it the attack succeeds, in a run that is refused."""
    pair = pairs(17, 17, False)
    change(pair, "postgres.py", ('    "search_path": "",\n', ""))
    change(pair, "move_tenant/look.sql", ("SET search_path = '';\n", ""))
    attack(pair, OPERATOR)
    assert pair.move().returncode == 2
    assert ADMINISTRATOR in ran_as(pair.source)
    assert stolen(pair)


@pytest.mark.parametrize("statements", [CAST, CHECK], ids=["cast", "check"])
def test_as_the_administrator_the_copy_gives_everything_away(pairs: Pairs, statements: str) -> None:
    """What keeps the others out is the work login: with the administrator in its place the attacks succeed."""
    pair = pairs(17, 17, False)
    change(
        pair,
        "work_login.py",
        ("yield replace(administrator, environment=environment)", "yield administrator"),
    )
    for cluster in (pair.source, pair.target):
        cluster.superuser(f'GRANT "{TENANT.owner}" TO {ADMINISTRATOR} WITH INHERIT TRUE, SET TRUE')
    attack(pair, statements)
    pair.suspend()
    pair.move()
    assert stolen(pair)
