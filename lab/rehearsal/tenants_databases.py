"""Tenants' databases on the real Postgres of a rehearsal: what is missing for that, and the ways to them."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from lab.control_droplet import ControlDroplet
from lab.local_postgres import installations
from lab.rehearsal.errors import UnexpectedError
from lab.rehearsal.scene import Scene
from lab.schema import APP, docker, environment_with_alembic
from model.config import config_bucket
from model.naming import Names
from model.status import ENVIRONMENT_MANIFEST, manifest_key, parse_manifest

ISOLATION_KEY = "isolation/environment.json"
"""Only the control group's bucket has it."""


def missing(scene: Scene) -> Iterator[str]:
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


def read_object(scene: Scene, part: str, key: str) -> bytes:
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


def control_droplet(scene: Scene, name: str) -> ControlDroplet:
    """Lay a droplet of the control group out in a new folder, with what its group's bucket has now."""
    # Not `droplet`: the workspace has a link of that name to the room of the checkout.
    folder = scene.workspace.folder / name
    python = str(environment_with_alembic())
    made = ControlDroplet(folder, [sys.executable, "-I", docker.__file__, str(APP), python])
    fetch(scene, made)
    authorities = dict.fromkeys(
        cluster["ca"] for cluster in json.loads(read_object(scene, "config-", ISOLATION_KEY))["clusters"]
    )
    made.authorities.write_text("\n".join(authorities), encoding="utf-8")
    return made


def fetch(scene: Scene, droplet: ControlDroplet) -> None:
    """Fetch the control group's bucket, as its manifest lists it."""
    manifest = manifest_key(ENVIRONMENT_MANIFEST)
    group = next(
        one
        for one in _groups(scene)
        if ISOLATION_KEY in parse_manifest(read_object(scene, one, manifest)).objects
    )
    listed = parse_manifest(read_object(scene, group, manifest)).objects
    droplet.fetch({key: read_object(scene, group, key) for key in (*listed, manifest)})


def _groups(scene: Scene) -> list[str]:
    """Return the names of the groups' configuration buckets."""
    groups: list[str] = []
    scene.workspace.edit(lambda document: groups.extend(document["groups"]))
    return [config_bucket(Names(scene.workspace.environment), group) for group in groups]


def credentials_of(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return the credentials that the tenant plane gets, by database."""
    names = [
        name.removeprefix("tenant_")
        for cluster in scene.cloud.state()["clusters"]
        for name in cluster["_databases"]
        if name.startswith("tenant_")
    ]
    found = (json.loads(read_object(scene, "tenant-credentials", f"tenants/{name}.json")) for name in names)
    return {one["database"]: one for one in found}


def connect(credentials: Mapping[str, Any], droplet: ControlDroplet, *, database: str, options: str) -> Any:
    """Log in with a tenant's credentials; autocommit, so that a refusal is one statement's."""
    import psycopg  # noqa: PLC0415  (only this scenario needs it)

    return psycopg.connect(
        host=credentials["host"],
        port=credentials["port"],
        user=credentials["user"],
        password=credentials["password"],
        dbname=database,
        options=options,
        sslmode=credentials["sslmode"],
        sslrootcert=str(droplet.authorities),
        autocommit=True,
    )
