"""Schemas follow the release on a booted droplet: the real unit, a container with Alembic, over TLS to Postgres."""

import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cloud_init.programs import render_programs
from lab.debian import MissingError
from lab.images import python_image
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import Template, installations, tls_settings
from lab.schema import APP
from model.backups import BACKUPS_KEY
from model.jobs import JOBS
from model.migration_status import DETAILS_KEY, SUMMARY_KEY, State, Summary, parse_details, parse_summary
from model.migrations import MigrationPlan, MigrationsPlan
from model.service_variables import job_environment
from model.status import Phase
from tests.droplets.conftest import BACKUPS, REPOSITORY, Laboratory
from tests.droplets.laboratory import GATEWAY, STORE_HOST, STORE_PORT, VPC, Droplet, eventually

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import Cluster

pytestmark = pytest.mark.nightly("droplets")
IMAGE = f"{REPOSITORY}/migrations"
TIME = "%Y-%m-%dT%H:%M:%SZ"
ISOLATION_KEY, MIGRATIONS_KEY = "isolation/environment.json", "migrations.json"


def asked(version: str) -> MigrationsPlan:
    """Both migrations, in one image."""
    return MigrationsPlan(
        jobs=tuple(
            MigrationPlan(
                name=job.name,
                databases=job.databases,
                service=job.service,
                image=f"{IMAGE}:{version}",
                command=job.command,
                environment=job_environment(job),
                memory_mib=job.memory_mib,
                timeout_seconds=job.timeout_seconds,
            )
            for job in JOBS.values()
            if job.databases
        ),
        canaries=(),
        parallel=2,
        share=100,
    )


@pytest.fixture(scope="module")
def cluster(laboratory: Laboratory) -> Iterator[Cluster]:
    """A server in the laboratory's network, with the control plane's database and two churches."""
    installed = installations()
    if not installed:
        pytest.skip("no Postgres server from 15 on is installed")
    try:
        image = python_image(APP)
    except MissingError as error:
        pytest.skip(str(error))
    network = laboratory.network
    with tempfile.TemporaryDirectory(prefix="postgres-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        for name in ("template", "tls", "droplet", "server"):
            (folder / name).mkdir()
        authority = Authority({})
        template = Template(installed[max(installed)], folder / "template")
        template.copy(folder / "server")
        with (folder / "server/data/pg_hba.conf").open("a", encoding="utf-8") as doors:
            doors.write(f"hostssl all all {VPC} scram-sha-256\n")
        settings = {"listen_addresses": GATEWAY, **tls_settings(authority, GATEWAY, folder / "tls")}
        server = network.inside(lambda: template.start(folder / "server", **settings))
        try:
            made = Cluster(server, folder / "droplet").create()
            made.tenants([1, 2])
            assert made.job().code == 0
            for droplet in laboratory.droplets:
                _load(droplet, image.archive, image.changes("migrations"))
            configuration = made.configuration({})
            configuration["clusters"][0] |= {"host": GATEWAY, "ca": authority.certificate}
            plan = dataclasses.replace(laboratory.plan, migrations=asked("1"))
            laboratory.configuration.programs = render_programs(plan)
            laboratory.configuration.change(
                put={ISOLATION_KEY: json.dumps(configuration), MIGRATIONS_KEY: text_of("1")}
            )
            laboratory.publish()
            yield made
        finally:
            laboratory.configuration.programs = ""
            laboratory.configuration.change(delete=[ISOLATION_KEY, MIGRATIONS_KEY])
            laboratory.publish()
            server.stop()


def text_of(version: str) -> str:
    """What the group's bucket says."""
    return json.dumps({"version": 1, **dataclasses.asdict(asked(version))})


def _load(droplet: Droplet, archive: Path, changes: list[str]) -> None:
    options = " ".join(f"--change '{change}'" for change in changes)
    with archive.open("rb") as file:
        done = subprocess.run(
            droplet.command(f"docker import {options} - {IMAGE}:1"),
            stdin=file,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def _read(laboratory: Laboratory, key: str) -> bytes | None:
    bucket = laboratory.plan.config.status_bucket

    def read() -> bytes | None:
        store = laboratory.configuration.store()
        try:
            return bytes(store.get_object(Bucket=bucket, Key=key)["Body"].read())
        except store.exceptions.NoSuchKey:
            return None

    return laboratory.network.inside(read)


def migrate(laboratory: Laboratory, droplet: Droplet, *, later: int = 0) -> Summary:
    """Let a droplet run now, as its timer would; return what it said, which the control group's bucket has then too.

    With ``later``, what is in the way was met so many seconds earlier than it was.
    """
    bucket = laboratory.plan.config.control_status_bucket
    if later:
        before = json.loads(_read(laboratory, SUMMARY_KEY) or b"{}")
        for one in before["obstacles"].values():
            since = datetime.strptime(one["since"], TIME).replace(tzinfo=UTC) - timedelta(seconds=later)
            one["since"] = since.strftime(TIME)
        _write(laboratory, bucket, json.dumps(before).encode())
    droplet.sh("systemctl start presence360-migrate.service", check=False, timeout=300)
    content = _read(laboratory, SUMMARY_KEY)
    assert content is not None, droplet.journal("presence360-migrate")
    # This laboratory's control group is another one, so that it shows which remote is which.
    _write(laboratory, bucket, content)
    return parse_summary(content)


def _write(laboratory: Laboratory, bucket: str, content: bytes) -> None:
    laboratory.network.inside(
        lambda: laboratory.configuration.store().put_object(Bucket=bucket, Key=SUMMARY_KEY, Body=content)
    )


def test_every_database_is_migrated_in_a_container_of_the_image(
    laboratory: Laboratory, cluster: Cluster
) -> None:
    droplet = laboratory.droplet

    def done() -> bool:
        said = migrate(laboratory, droplet)
        assert said.state is State.DONE, said
        return True

    eventually("the schemas are there", 60, done)
    content = _read(laboratory, DETAILS_KEY)
    assert content
    found = parse_details(content)
    assert {one.revision for one in found} == {"0003"}
    assert len(found) == 3
    for one in found:
        (owners,) = cluster.superuser(
            "SELECT array_agg(DISTINCT tableowner::text) FROM pg_tables WHERE schemaname = 'public'",
            database=one.database,
        )
        assert owners == ([f"{one.database}_owner"],)
    assert cluster.superuser("SELECT rolname FROM pg_roles WHERE rolname ~ '_work_'") == []
    # Nothing is left behind: no container, no address with a password.
    for each in laboratory.droplets:
        assert each.sh("docker ps --all --quiet --filter label=app.presence360.migration") == ""
        assert each.sh("ls /run/presence360-migrate 2>/dev/null", check=False) == ""
        said = each.journal("presence360-migrate")
        assert said.count("postgresql://") == said.count("Traceback") == 0
    assert max(each.metrics.get("presence360_migrations_success", 0) for each in laboratory.droplets) == 1


def test_the_unit_gives_up_what_it_can(laboratory: Laboratory, cluster: Cluster) -> None:
    del cluster
    shown = laboratory.droplet.sh(
        "systemd-analyze security --json=short --no-pager presence360-migrate.service >/dev/null; "
        "systemd-analyze security --no-pager presence360-migrate.service | tail -1"
    )
    assert float(shown.split(": ")[1].split()[0]) <= 4.0, shown


def test_every_database_is_dumped_by_the_unit(laboratory: Laboratory, cluster: Cluster) -> None:
    configuration, droplet, plan = laboratory.configuration, laboratory.droplet, BACKUPS
    wanted = {
        "bucket": plan.bucket, "endpoint": f"http://{STORE_HOST}:{STORE_PORT}", "access_key": "writer",
        "secret_key": "of-the-dumps", "recipients": plan.recipients, "hour": plan.hour, "parallel": plan.parallel,
        "rate_mib": plan.rate_mib,
    }  # fmt: skip
    laboratory.network.inside(lambda: configuration.store().create_bucket(Bucket=plan.bucket))
    configuration.change(put={BACKUPS_KEY: json.dumps(wanted)})
    try:
        path = f"/var/lib/presence360/incoming/{BACKUPS_KEY}"
        eventually("the droplet knows", 60, lambda: droplet.sh(f"stat --format %a {path}", check=False))
        droplet.sh("systemctl start presence360-backup.service", check=False, timeout=300)

        def stored() -> list[str]:
            found = configuration.store().list_objects_v2(Bucket=plan.bucket).get("Contents", [])
            return [one["Key"] for one in found]

        journal = droplet.journal("presence360-backup")
        keys = laboratory.network.inside(stored)
        databases = {key.split("/")[1] for key in keys if key.endswith("/index.json")}
        names = cluster.superuser(
            "SELECT datname FROM pg_database WHERE datname ~ '^(tenant_|control_plane)'"
        )
        assert databases == {name for (name,) in names}, journal
        assert droplet.metrics["presence360_dump_never"] == 0
        shown = droplet.sh("systemd-analyze security --no-pager presence360-backup.service | tail -1")
        assert float(shown.split(": ")[1].split()[0]) <= 4.0, shown
        # The key and the passwords are in no message, and nothing in clear text stays.
        assert journal.count("of-the-dumps") == journal.count(cluster.passwords["doadmin"]) == 0
        assert droplet.sh("ls /var/lib/private/presence360-backup").split() == ["status.json"]
    finally:
        configuration.change(delete=[BACKUPS_KEY])


@pytest.mark.usefixtures("put_back")
def test_a_release_waits_for_its_migrations(laboratory: Laboratory, cluster: Cluster) -> None:
    del cluster
    configuration, droplet = laboratory.configuration, laboratory.droplet
    assert migrate(laboratory, droplet).state is State.DONE
    before = droplet.sh("readlink /var/lib/presence360/current")
    configuration.versions["tenant-api"] = "2.0.0"
    configuration.change(put={**configuration.objects(), MIGRATIONS_KEY: text_of("2")})

    def phase(wanted: Phase) -> bool:
        status = configuration.status(droplet)
        return status.phase is wanted and "migrations: " in status.reason

    eventually("it waits", 60, lambda: phase(Phase.WAITING))
    # There is no such image: the control group says so, tries again, and after five minutes droplets are held.
    assert migrate(laboratory, droplet).state is State.RUNNING
    eventually("it says for what", 60, lambda: "docker pull" in configuration.status(droplet).reason)
    eventually("it is held", 90, lambda: migrate(laboratory, droplet, later=300).state is State.FAILED)
    eventually("it is held", 60, lambda: phase(Phase.HELD))
    assert "docker pull" in configuration.status(droplet).reason
    assert droplet.sh("readlink /var/lib/presence360/current") == before
    for each in laboratory.droplets:
        each.sh(f"docker tag {IMAGE}:1 {IMAGE}:2")
    eventually("it is migrated", 60, lambda: migrate(laboratory, droplet).state is State.DONE)
    eventually("it serves", 120, lambda: configuration.status(droplet).phase is Phase.SERVING)
    assert droplet.sh("readlink /var/lib/presence360/current") != before
