"""The terminal with psql: Ctrl-C, a lost connection, and what a church writes into it."""

import json
import os
import pty
import select
import subprocess
import termios
import time

import pytest

from lab.local_postgres import PORT
from lab.managed_cluster import Tenant
from tests.isolation.test_readers import opened, wanted
from tests.sql_access.site import Site

CHURCH = Tenant.number(1)
RUN = "20261127-031500-00000001"


@pytest.fixture
def kept(site: Site) -> list[str]:
    """A login, how to connect with it on the droplet, and the command that starts psql."""
    reader = opened(site.cluster, wanted(CHURCH))
    value = {
        "host": site.cluster.server.host,
        "port": PORT,
        "database": CHURCH.database,
        "user": reader.role,
        "password": reader.password,
        "sslmode": "prefer",
        "ca": "",
        "until": reader.until,
    }
    keep = subprocess.run(
        site.terminal._command("--keep", RUN), input=json.dumps(value).encode(), check=False
    )
    assert keep.returncode == 0
    assert len(list(site.memory.iterdir())) == 1
    return site.terminal._command("--psql", RUN)


class Person:
    """Somebody at a terminal."""

    def __init__(self, command: list[str]) -> None:
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            # Without a size psql would start its pager for one line.
            termios.tcsetwinsize(0, (24, 80))
            os.execv(command[0], command)  # noqa: S606  as sshd does
        self.seen = b""

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def until(self, text: bytes) -> None:
        """Read until something was shown."""
        end = time.monotonic() + 120
        while text not in self.seen:
            assert time.monotonic() < end, f"not shown: {text!r} in {self.seen!r}"
            if select.select([self.terminal], [], [], 1)[0]:
                self.seen += os.read(self.terminal, 4096)

    def left(self) -> int:
        """Wait for the program's end; its exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def test_ctrl_c_ends_the_statement_and_not_the_terminal(site: Site, kept: list[str]) -> None:
    person = Person(kept)
    person.until(b"=> ")
    assert list(site.memory.iterdir()) == [], "the password is in no file while psql runs"
    person.type(b"SELECT pg_sleep(600);\n")
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%' AND state = 'active'"
    )
    end = time.monotonic() + 120
    while site.cluster.superuser(running) == [(0,)]:
        assert time.monotonic() < end
    person.type(b"\x03")
    person.until(b"canceling statement due to user request")
    person.type(b"SELECT 'ali' || 've';\n")
    person.until(b" alive")
    person.type(b"\\q\n")
    assert person.left() == 0


def test_a_lost_connection_leaves_nothing(site: Site, kept: list[str]) -> None:
    person = Person(kept)
    person.until(b"=> ")
    os.close(person.terminal)
    # psql may see the end of its input before the signal, and ends well then.
    person.left()
    assert list(site.memory.iterdir()) == []


def test_what_a_church_writes_is_shown_and_not_obeyed(site: Site, kept: list[str]) -> None:
    clipboard = "]52;c;ZXZpbA=="
    with site.cluster.as_tenant(CHURCH) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION shown() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
            f"RAISE NOTICE E'quiet \\x1b{clipboard}\\x07'; "
            "PERFORM set_config('client_min_messages', 'notice', false); "
            f"RAISE NOTICE E'loud \\x1b{clipboard}\\x07'; "
            f"RAISE EXCEPTION E'wrong \\x1b{clipboard}\\x07 \\u009d52;'; END $$".encode()
        )
        connection.execute("CREATE OR REPLACE VIEW members AS SELECT shown() AS n")
        connection.execute("GRANT SELECT ON members TO PUBLIC")
    person = Person(kept)
    person.until(b"=> ")
    person.seen = b""
    person.type(b"SELECT n FROM members;\n")
    person.until(b"x9d52;")
    person.type(b"\\q\n")
    assert person.left() == 0
    assert b"quiet" not in person.seen
    # The bell may ring.
    assert f"loud \\x1b{clipboard}\x07".encode() in person.seen
    assert f"wrong \\x1b{clipboard}\x07 \\x9d52;".encode() in person.seen
    assert b"\x1b]" not in person.seen
