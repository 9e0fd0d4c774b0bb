"""What `presence360 tenant erase` has operators run: the keys of a removed church leave Valkey, and no others."""

import os
import subprocess
from collections.abc import Mapping

from lab import clients
from ops.removal import QUEUES_SCRIPT
from tests.clients.conftest import Servers
from tests.clients.pages import CA_FILE

GONE, NEIGHBOUR = "tenant-0b5:", "tenant-0b50:"


def run(script: str, *arguments: str, environ: Mapping[str, str]) -> str:
    command = [str(clients.python()), "-c", script, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_key_of_the_church_goes_and_none_of_its_neighbours(
    servers: Servers, variables: Mapping[str, str]
) -> None:
    address = variables["VALKEY_URL"].replace(CA_FILE, str(servers.authority))
    environ = {"PATH": os.environ["PATH"], "VALKEY_URL": address}
    connect = QUEUES_SCRIPT.partition("k=[")[0]
    fill = f"{connect}[r.lpush(p+'tasks',1) and r.set(p+str(n),1) for p in sys.argv[1:] for n in range(50)]"
    run(fill, GONE, NEIGHBOUR, environ=environ)
    assert run(QUEUES_SCRIPT, GONE, environ=environ) == "51 keys"
    assert run(f"{connect}print(len(r.keys(sys.argv[1]+'*')))", NEIGHBOUR, environ=environ) == "51"
    assert run(QUEUES_SCRIPT, NEIGHBOUR, environ=environ) == "51 keys"
