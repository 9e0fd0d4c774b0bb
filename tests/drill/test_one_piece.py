"""Command, real Terraform, the fork, the droplet's program and the object storage as one piece: `make prove-drill`."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.local_digitalocean.clock import Durations
from lab.local_digitalocean.server import Server as LocalDigitalOcean
from lab.local_postgres import installations
from lab.managed_cluster import Tenant
from lab.object_storage import Gateway
from model.bucket_access import Bucket as Kind
from model.config import config_bucket, status_bucket
from model.drill_status import is_report
from model.loader import load_environments
from ops.bucket import Bucket
from tests.backups.conftest import MAJOR, fill
from tests.backups.site import Site
from tests.drill.aging import aging
from tests.drill.conftest import CONTENT
from tests.drill.estate import (
    BACKUPS,
    FORK,
    GROUP,
    STAGING,
    Command,
    Deployed,
    Estate,
    Group,
    ask,
    operators_variables,
)
from tests.drill.site import Droplet, Platform
from tests.ops.cdktf_deploy.checkout import Checkout
from tests.support import ENVIRONMENTS

pytestmark = [pytest.mark.nightly("drill"), pytest.mark.isolation]


@pytest.fixture(scope="module")
def estate(provider: None, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Staging as a deploy leaves it, its churches with content, and a backup between two dumps."""
    del provider
    if MAJOR not in installations():
        pytest.skip(f"no Postgres {MAJOR} server is installed")
    folder = tmp_path_factory.mktemp("estate")
    with ExitStack() as stack:
        # Not below pytest's own folder: the servers run as another user.
        servers = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clusters-")))
        servers.chmod(0o755)
        cloud = LocalDigitalOcean(postgres=servers, durations=Durations(cluster=3.0)).start()
        stack.callback(cloud.stop)
        yield made(cloud, gateway, folder, stack)


def made(cloud: LocalDigitalOcean, gateway: Gateway, folder: Path, stack: ExitStack) -> Estate:
    ask(cloud, "POST", "/v2/vpcs", {"name": "staging-vpc", "region": "fra1", "ip_range": "10.60.0.0/20"})
    ask(cloud, "POST", "/v2/tags", {"name": STAGING.group_tag(GROUP)})
    body = {
        "name": STAGING.cluster("shared"), "engine": "pg", "version": str(MAJOR), "size": "db-s-1vcpu-2gb",
        "region": "fra1", "num_nodes": 1, "tags": ["staging"],
    }  # fmt: skip
    identifier = ask(cloud, "POST", "/v2/databases", body)["database"]["id"]
    time.sleep(3)
    assert cloud.account.servers
    server = cloud.account.servers._running[identifier]  # type: ignore[attr-defined]  # of PostgresServers
    home = folder / "isolation"
    home.mkdir()
    cluster = Deployed(server, home, ask=lambda *words: ask(cloud, *words), identifier=identifier)
    cluster.create()
    (environment,) = (one for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging")
    tenants = [Tenant(one.id) for one in environment.tenants]
    for tenant in tenants:
        cluster.api_database(tenant.database)
        cluster.api_user(tenant.user())
    assert cluster.job().code == 0
    for tenant in tenants:
        with cluster.as_tenant(tenant) as connection:
            connection.execute(CONTENT)
    fill(cluster, tenants[0])
    site = Site(folder / "droplet", {"shared": cluster}, gateway, bucket=STAGING.bucket(Kind.BACKUPS))
    storage = stack.enter_context(aging(gateway.port))
    site.write()
    checkout = Checkout(folder / "checkout", operators_variables(cloud, gateway, storage))
    keys = f"    drill: {site.keys[1].public}\n    operators: {site.keys[0].public}\n"
    wanted = f"backups:\n  copy_region: ams3\n  recipients:\n{keys}  drill: {{}}\n"
    checkout.edit("environment.yaml", BACKUPS, wanted + BACKUPS)
    config, status = written(gateway, cluster, tenants)
    group = Group(Droplet(Platform(site, None, folder), folder / "control"), config, status)  # type: ignore[arg-type]  # starts no server
    bracketed(cloud, site)
    group.start()
    stack.callback(group.stop)
    return Estate(cloud, storage, checkout, cluster, site, tenants, group, folder)


def written(gateway: Gateway, cluster: Deployed, tenants: list[Tenant]) -> tuple[Bucket, Bucket]:
    """Write what an apply writes into the buckets; return those of the control group."""
    client = gateway.client()
    names = [STAGING.bucket(Kind.DIRECTORY), STAGING.bucket(Kind.CREDENTIALS)]
    own = [config_bucket(STAGING, GROUP), status_bucket(STAGING, GROUP)]
    for name in (*names, *own):
        client.create_bucket(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    directory, credentials = (Bucket(name, client) for name in names)
    for tenant in tenants:
        key = f"tenants/{tenant.id}.json"
        entry = {
            "id": tenant.id, "status": "active", "tier": "shared", "cell": "staging", "database": tenant.database,
            "credentials": {"bucket": credentials.name, "key": key},
        }  # fmt: skip
        directory.write(key, json.dumps(entry).encode())
        credentials.write(key, json.dumps(cluster.credentials(tenant)).encode())
    config, status = (Bucket(name, client) for name in own)
    return config, status


def bracketed(cloud: LocalDigitalOcean, site: Site) -> None:
    """Dump all churches, have DigitalOcean make a backup, and dump them again."""
    assert site.once()[0] == 0
    # Times are whole seconds.
    time.sleep(1.1)
    ask(cloud, "POST", f"/_local/backups/{STAGING.cluster('shared')}", {})
    time.sleep(1.1)
    site.ask()
    assert site.once()[0] == 0


def test_a_drill_from_the_command_to_the_report(estate: Estate, tmp_path: Path) -> None:
    """A second operator is refused meanwhile; then the report, its summary and metrics are there, and nothing else."""
    summary, into = tmp_path / "summary.md", tmp_path / "drill.md"
    first = estate.command("--into", str(into), GITHUB_STEP_SUMMARY=str(summary))
    # Nobody has made a fork yet, and no droplet has answered.
    first.until("it forks staging-pg-shared")
    second = estate.command()
    assert second.ended() == 1
    assert "began a drill at" in second.said
    assert "its fork is not destroyed" in second.said
    assert first.ended() == 0, first.said + "\n".join(estate.group.logs)
    assert "staging: the drill passed" in first.said
    # What was said on the way.
    for words in (
        "one node of db-s-1vcpu-2gb with Postgres 17",
        "has made a key for this run",
        "databases, 0 with",
    ):
        assert words in first.said
    assert estate.left() == {}
    reports = [key for key in estate.site.objects("drills/") if is_report(key)]
    report = json.loads(estate.site.read(reports[-1]))
    assert (report["passed"], report["problems"], report["left"]) == (True, [], [])
    assert {one["database"] for one in report["databases"]} == {
        "control_plane", *(tenant.database for tenant in estate.tenants)
    }  # fmt: skip
    # Each church was served again from a restored database, and how long that took.
    assert report["rto_seconds"] >= report["fork_seconds"] > 0
    assert all(one["restore_seconds"] > 0 for one in report["databases"])
    assert "passed" in summary.read_text()
    assert into.read_text() == ""
    shown = estate.command("--show")
    assert shown.ended() == 0
    assert "passed: 4 databases, 0 left" in shown.said
    # The droplet's own metrics, from the newest report: the program that looks each two minutes has them.
    estate.site.settings["drill"] = True
    assert estate.site.once()[0] == 0
    metrics = (estate.site.folder / "scratch/backup.prom").read_text()
    assert "\npresence360_drill_success 1\n" in metrics
    assert "\npresence360_drill_never 0\n" in metrics
    # The key is in no bucket, on no disk and in nothing that was said.
    secret = estate.site.keys[1].secret
    for text in (first.said, second.said, *estate.group.logs, summary.read_text(), json.dumps(report)):
        assert secret not in text
    for bucket in (estate.group.config, estate.group.status):
        for one in bucket.versions(""):
            if one.bytes:
                body = bucket._client.get_object(Bucket=bucket.name, Key=one.key, VersionId=one.version)[
                    "Body"
                ].read()
                assert secret.encode() not in body, one.key
    for file in (estate.group.droplet.home).rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_a_dump_that_cannot_be_read_fails_the_drill_and_everything_is_destroyed(
    estate: Estate, tmp_path: Path
) -> None:
    into = tmp_path / "drill.md"
    tenant = estate.tenants[1]
    key = f"{estate.site.dumps(tenant.database)[-1]}/contents.age"
    sound = estate.site.read(key)
    client = estate.site.gateway.client()
    client.put_object(Bucket=estate.site.bucket, Key=key, Body=sound[:-9] + b"unreadable")
    try:
        command = estate.command("--into", str(into))
        assert command.ended() == 1
    finally:
        client.put_object(Bucket=estate.site.bucket, Key=key, Body=sound)
    assert f"{tenant.database}: opened: it was not decrypted" in command.said
    assert "**failed**" in into.read_text()
    assert estate.left() == {}


def asked(estate: Estate) -> bool:
    return any(key.endswith("restore-drill.json") for key in estate.group.config.keys("requests/"))


def sent(estate: Estate) -> bool:
    return any(key.endswith(".age") for key in estate.group.status.keys("drill/"))


# Where the program is killed, in the order of a drill; whether Terraform is killed with it; whether the droplet is off.
STEPS: list[tuple[str, str | Callable[[Estate], object], bool, bool]] = [
    ("nothing is made yet", "it forks staging-pg-shared", False, True),
    ("Terraform makes the fork, and goes on", lambda it: FORK in it.clusters(), False, True),
    ("Terraform makes the fork, and is killed", lambda it: FORK in it.clusters(), True, True),
    ("the question is asked", asked, True, True),
    ("a droplet was sent the key", sent, True, False),
    ("a droplet tries", " of 4 databases", True, False),
    ("it is destroyed", "destroying the cluster", True, False),
]


def test_a_drill_that_is_killed_at_any_step_is_cleaned_up_by_the_next(estate: Estate) -> None:
    """Each start finds what the one before has left; the last one comes to its end, and nothing is there."""
    for name, when, terraform, off in STEPS:
        estate.group.paused.set()
        started = estate.command()
        # What the one before has left goes before anything is made.
        started.until("it forks staging-pg-shared")
        assert FORK not in estate.clusters(), name
        assert not asked(estate), name
        if not off:
            estate.group.paused.clear()
        started.until(when if isinstance(when, str) else lambda when=when: when(estate))  # type: ignore[misc]
        started.kill(terraform=terraform)
        # A droplet that has begun ends by itself, with or without its fork; so does Terraform, as long as there is one.
        wait(lambda: not estate.group.busy.is_set() and not estate.orphans())
        refused = estate.command()
        assert refused.ended() == 1, (name, refused.said)
        assert "its fork is not destroyed" in refused.said, name
        estate.a_quarter_of_an_hour_later()
    # The state was never written.
    (estate.checkout.folder / f"terraform.{FORK}.tfstate").unlink()
    last = estate.command()
    assert last.ended() == 0, last.said + "\n".join(estate.group.logs)
    assert estate.left() == {}


def test_clean_destroys_what_a_killed_drill_has_left_at_once(estate: Estate) -> None:
    estate.group.paused.set()
    started = estate.command()
    started.until(lambda: asked(estate))
    started.kill(terraform=True)
    assert FORK in estate.clusters()
    cleaned = Command(estate.checkout, "drill", "staging", "--clean")
    assert cleaned.ended() == 0, cleaned.said
    assert "destroying the cluster" in cleaned.said
    assert estate.left() == {}
    estate.group.paused.clear()


def wait(question: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end
        time.sleep(0.2)
