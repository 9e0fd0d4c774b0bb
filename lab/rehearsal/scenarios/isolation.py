"""The whole path of a tenant's credentials: Terraform, the API, a real Postgres, the bucket, the isolation job."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lab import programs
from lab.local_postgres import installations
from lab.rehearsal.errors import UnexpectedError, expect
from lab.rehearsal.runner import first_apply
from lab.rehearsal.scene import Scene, scenario

JOB_SECONDS = 300


@scenario(
    "isolation",
    "on a real Postgres, each tenant's published credentials reach its own database and no other",
    lane="isolation",
    fresh=True,
    postgres=True,
)
def _isolation(scene: Scene) -> None:
    missing = "".join(_missing(scene))
    if missing:
        scene.say(f"not run: {missing}")
        return
    first_apply(scene)
    # Not `droplet`: the workspace has a link of that name to the room of the checkout.
    droplet = scene.workspace.folder / "isolation-job"
    configuration = json.loads(_object(scene, "config-", "isolation/environment.json"))
    _lay_out(droplet, configuration)
    open_before = sum(1 for _ in _crossings(scene, droplet))
    expect(open_before > 0, "the API was expected to leave databases open to every user")
    scene.say(
        f"before the isolation job, {open_before} attempts with tenants' logins reach another tenant's database"
    )
    ended = _run_job(droplet)
    expect(ended.returncode == 0, f"the isolation job failed:\n{ended.stdout}{ended.stderr}")
    crossings = list(_crossings(scene, droplet))
    expect(not crossings, f"after the isolation job: {crossings}")
    own = [_works(credentials, droplet) for credentials in _credentials(scene).values()]
    scene.say(
        f"after it none does; {len(own)} tenants create and read tables in their own databases: {own[0]}"
    )


def _missing(scene: Scene) -> Iterator[str]:
    """Yield what is missing, and how to install it."""
    found: list[str] = []
    scene.workspace.edit(
        lambda document: found.extend(one["version"] for one in document["postgres"]["clusters"].values())
    )
    lacking = sorted({version for version in found if int(version) not in installations()})
    if lacking:
        yield f"no Postgres {', '.join(lacking)} is installed here (`make setup` brings it). "
    if shutil.which("psql") is None:
        yield "psql is not installed (Debian: `apt install postgresql-client`). "
    if find_spec("psycopg") is None:
        yield "the Python package psycopg is not installed (`make setup` brings it). "


def _object(scene: Scene, part: str, key: str) -> bytes:
    """Read an object as a droplet does, with the key that Terraform made for a bucket; ``part`` is of its name."""
    for one in scene.cloud.state()["spaces_keys"]:
        bucket = one["grants"][0]["bucket"]
        if part not in bucket:
            continue
        try:
            return scene.cloud.read_object(bucket, key, one["access_key"])
        except OSError:  # another group's bucket
            continue
    raise UnexpectedError(f"no bucket with {part} in its name has {key}")


def _lay_out(droplet: Path, configuration: Mapping[str, Any]) -> None:
    """Lay programs and configuration out as on a droplet, with the folders that systemd gives the job."""
    for name in ("scratch", "state"):
        (droplet / name).mkdir(parents=True)
    programs.lay_out(droplet / "programs")
    (droplet / "isolation_environment.json").write_text(json.dumps(configuration), encoding="utf-8")
    authorities = dict.fromkeys(cluster["ca"] for cluster in configuration["clusters"])
    (droplet / "ca.pem").write_text("\n".join(authorities), encoding="utf-8")


def _run_job(droplet: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        programs.command(droplet / "programs", "isolation"),
        env={
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "CREDENTIALS_DIRECTORY": str(droplet),
            "RUNTIME_DIRECTORY": str(droplet / "scratch"),
            "STATE_DIRECTORY": str(droplet / "state"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=JOB_SECONDS,
    )


def _credentials(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return the credentials that the tenant plane gets, by database."""
    names = [
        name.removeprefix("tenant_")
        for cluster in scene.cloud.state()["clusters"]
        for name in cluster["_databases"]
        if name.startswith("tenant_")
    ]
    found = (json.loads(_object(scene, "tenant-credentials", f"tenants/{name}.json")) for name in names)
    return {one["database"]: one for one in found}


def _connect(credentials: Mapping[str, Any], droplet: Path, *, database: str, options: str) -> Any:
    import psycopg  # noqa: PLC0415  (only this scenario needs it)

    return psycopg.connect(
        host=credentials["host"],
        port=credentials["port"],
        user=credentials["user"],
        password=credentials["password"],
        dbname=database,
        options=options,
        sslmode=credentials["sslmode"],
        sslrootcert=str(droplet / "ca.pem"),
        autocommit=True,
    )


def _crossings(scene: Scene, droplet: Path) -> Iterator[str]:
    """Try every tenant's login on every other tenant's database; return what succeeds."""
    import psycopg  # noqa: PLC0415

    credentials = _credentials(scene)
    for own, login in credentials.items():
        for other in credentials:
            if other == own:
                continue
            try:
                _connect(login, droplet, database=other, options="").close()
            except psycopg.OperationalError as error:
                expect("permission denied for database" in str(error), f"refused for another reason: {error}")
            else:
                yield f"{login['user']} reaches {other}"


def _works(credentials: Mapping[str, Any], droplet: Path) -> str:
    """Create, write and read in a tenant's own database as its credentials say; return whose the table is."""
    with _connect(
        credentials, droplet, database=credentials["database"], options=credentials["options"]
    ) as connection:
        connection.execute("CREATE TABLE people (name text)")
        connection.execute("INSERT INTO people VALUES ('Ama')")
        expect(
            connection.execute("SELECT name FROM people").fetchall() == [("Ama",)],
            "what was written is not read",
        )
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'people'").fetchone()[
            0
        ]
    expect(owner == credentials["role"], f"the table is {owner}'s")
    return f"a table of {owner}"
