"""`presence360 drill`: what it makes, what it sends, and that nothing is left of it; with the real provider."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model.drill_status import DrillReport, said_key, sent_key
from model.naming import tenant_database
from model.plan import EnvironmentPlan
from model.restore_drill import REQUEST_KEY
from ops.drill import before, cleaning, run
from ops.drill.place import Place
from ops.errors import OperationError, UsageError
from tests.ops.drill.conftest import CHURCH, NAME, Cloud, Droplet

KEY = "AGE-SECRET-KEY-1" + "Q" * 58


@pytest.mark.usefixtures("provider")
def test_a_drill_from_its_beginning_to_its_end(cloud: Cloud, place: Place, age: Path) -> None:
    droplet = Droplet(cloud, age)
    result = run.drill(place, KEY, (), cloud.said.append)
    assert droplet.problem is None
    assert result.status.passed
    assert result.markdown.startswith("# Restore drill of production, 2026-11-27 01:00 UTC: passed\n")
    # What it asked for, without a secret.
    request = droplet.request
    assert (request["environment"], request["source"]) == ("production", "shared")
    assert request["databases"] == [
        {"name": "control_plane", "user": "control_plane"},
        {"name": CHURCH, "user": f"{CHURCH}_g1"},
    ]
    assert json.dumps(request).count("AGE-SECRET") == 0
    # What it sent to the run's key.
    sent = droplet.sent
    assert sent["identity"] == KEY
    assert sent["cluster"]["user"] == "doadmin"
    assert sent["cluster"]["password"] == sent["passwords"]["doadmin"] != ""
    assert sent["cluster"]["ca"].startswith("-----BEGIN CERTIFICATE-----")
    assert sent["records"] == {
        CHURCH: {
            "database": CHURCH,
            "user": f"{CHURCH}_g1",
            "role": f"{CHURCH}_owner",
            "password": "of today",
        }
    }
    said = "\n".join(cloud.said)
    assert "one node of db-s-4vcpu-8gb with Postgres 17, for at most 6 hours" in said
    assert "what it costs is unknown" in said
    assert "the account has 1 database clusters, and one more while the drill runs" in said
    assert_nothing_is_left(cloud, place)


def assert_nothing_is_left(cloud: Cloud, place: Place) -> None:
    assert cloud.clusters() == ["production-pg-shared"]
    projects = [one["name"] for one in cloud.ask("GET", "/v2/projects?per_page=200")["projects"]]
    assert [name for name in projects if "drill" in name] == []
    tags = [one["name"] for one in cloud.ask("GET", "/v2/tags?per_page=200")["tags"]]
    assert [name for name in tags if "drill" in name] == []
    assert place.open_stack().must("state", "list").stdout == ""
    assert cloud.bucket("config-control").keys() == []
    status = cloud.bucket("status-control")
    assert [key for key in status.keys() if key.endswith(".age")] == []  # noqa: SIM118  (a bucket)
    assert list(status.versions("drill/"))[1:] == [
        one for one in list(status.versions("drill/"))[1:] if one.key.endswith(".json")
    ]


@pytest.mark.nightly("drill")
@pytest.mark.usefixtures("provider")
def test_everything_is_destroyed_after_ctrl_c_too(cloud: Cloud, place: Place, age: Path) -> None:
    # While the droplet tries: it never answers.
    Droplet(cloud, age, stop=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        run.drill(place, KEY, (), cloud.said.append)
    assert "it did not end well: destroying what was made" in cloud.said
    assert_nothing_is_left(cloud, place)


@pytest.mark.usefixtures("provider")
def test_what_a_killed_drill_has_left_is_found_by_its_marks_and_nothing_else_goes(
    cloud: Cloud, place: Place
) -> None:
    """The state knows nothing of it: the program was killed before Terraform wrote it."""
    project = cloud.ask(
        "POST", "/v2/projects", {"name": f"{NAME}-presence360", "purpose": "Web Application"}
    )["project"]["id"]
    other = cloud.ask(
        "POST", "/v2/projects", {"name": "production-presence360", "purpose": "Web Application"}
    )
    elsewhere = other["project"]["id"]
    cloud.cluster(NAME, NAME, project=project)
    # Each with some of the marks, and not with all three.
    cloud.cluster("production-pg-cell-2", NAME, project=project)
    cloud.cluster("staging-pg-shared", "staging", project=project)
    cloud.cluster("production-pg-grace", NAME, project=elsewhere)
    before = [one for one in cloud.clusters() if one != NAME]
    assert place.forks.destroy(cloud.said.append) == 1
    assert cloud.clusters() == before
    # The name alone is not enough, nor name and tag in another project.
    for tags, where in (((), project), ((NAME,), elsewhere), (("production",), project)):
        identifier = cloud.cluster(NAME, *tags, project=where)
        assert place.forks.destroy(cloud.said.append) == 0
        assert NAME in cloud.clusters()
        cloud.ask("DELETE", f"/v2/databases/{identifier}")


def test_a_fork_on_which_a_droplet_works_is_not_destroyed(cloud: Cloud, place: Place) -> None:
    cloud.fork()
    cloud.bucket("status-control").write(said_key("another-run"), b"nothing that a droplet says")
    for state in ("waiting", "running"):
        cloud.says("run-12345678", state)
        cloud.wait(4)
        words = f"control-1 said 4 minutes ago that the drill run-12345678 is {state}"
        with pytest.raises(OperationError, match=words):
            run.drill(place, KEY, (), cloud.said.append, limit=1)
    assert NAME in cloud.clusters()
    # It has ended, or its droplet is gone.
    for minutes, then in ((0, "ended"), (60, "running")):
        cloud.says("run-12345678", then)
        cloud.wait(minutes)
        with pytest.raises(OperationError, match="there is no room for a fork"):
            run.drill(place, KEY, (), cloud.said.append, limit=1)
        assert NAME not in cloud.clusters()
        cloud.fork()
    cloud.says("run-12345678", "running")
    # As with --clean.
    assert place.forks.destroy(cloud.said.append) == 1


@pytest.mark.nightly("drill")
@pytest.mark.usefixtures("provider")
def test_what_cleans_up_ends_a_drill_that_goes_on(cloud: Cloud, place: Place, age: Path) -> None:
    other = replace(place, who="bob@ci")
    # As on another machine: Terraform takes signals, which only the first thread of a program may.
    cleans = multiprocessing.get_context("fork").Process(target=lambda: cleaning.clean(other, print))
    Droplet(cloud, age, stop=cleans.start)
    with pytest.raises(OperationError, match=r"it has taken over|somebody has cleaned up"):
        run.drill(place, KEY, (), cloud.said.append)
    # The drill is ended at once, and what cleans up goes on.
    cleans.join(120)
    assert cleans.exitcode == 0
    assert_nothing_is_left(cloud, place)


def test_what_a_killed_program_asked_for_is_not_answered_in_the_next_drill(
    cloud: Cloud, place: Place
) -> None:
    config, status = cloud.bucket("config-control"), cloud.bucket("status-control")
    config.write(REQUEST_KEY, b"of a program that was killed")
    status._call("put_bucket_versioning", Bucket=status.name, VersioningConfiguration={"Status": "Enabled"})
    key = sent_key("run-12345678", "age1" + "q" * 58)
    status.write(key, b"encrypted")
    # As the droplet does that has read it: the bucket keeps the version.
    status._call("delete_object", Bucket=status.name, Key=key)
    assert len(list(status.versions("drill/"))) == 2
    with pytest.raises(OperationError, match="there is no room for a fork"):
        run.drill(place, KEY, (), cloud.said.append, limit=1)
    assert (config.keys(), list(status.versions("drill/"))) == ([], [])


def test_it_does_not_begin_where_the_account_has_no_room_or_there_is_no_backup(
    cloud: Cloud, place: Place
) -> None:
    with pytest.raises(
        OperationError, match="may have 1 database clusters and has 1: there is no room for a fork"
    ):
        run.drill(place, KEY, (), cloud.said.append, limit=1)
    with pytest.raises(UsageError, match=r"'cell-9': there is no such cluster to fork\. There are: shared"):
        run.drill(place, KEY, (), cloud.said.append, source="cell-9")
    (cluster,) = (one["id"] for one in cloud.ask("GET", "/v2/databases")["databases"])
    cloud.ask("DELETE", f"/v2/databases/{cluster}")
    with pytest.raises(OperationError, match="there is no cluster production-pg-shared in this account"):
        run.drill(place, KEY, (), cloud.said.append)


def test_a_backup_without_a_time_is_an_error_in_words(cloud: Cloud, place: Place) -> None:
    source = cloud.server.account.named("clusters", "production-pg-shared")
    assert source
    for kept in source["_backups"]:
        kept["created_at"] = "2026-11-01"
    with pytest.raises(OperationError, match="the API names no time of a backup of production-pg-shared"):
        place.forks.backup_of("production-pg-shared")
    assert source["_backups"]


def test_a_key_that_opens_no_dump_is_refused_before_anything_is_made(age: Path) -> None:
    keygen = str(age / "age-keygen")
    with pytest.raises(UsageError, match="the drill's key is not a key of age's"):
        before.identity("nothing", [], keygen)
    with pytest.raises(UsageError, match=r"belongs to none of `backups.recipients`"):
        before.identity(f"# a comment\n{KEY}\n", ["age1other"], keygen)


def report(**known: str) -> DrillReport:
    at = {name: datetime.fromisoformat(f"{text}T00:00:00+00:00") for name, text in known.items()}
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    return DrillReport("production", "shared", moment, moment, moment, True, (), (), 1, 0, 1, 1, at)


def test_the_cluster_that_waited_longest_is_next(production_plan: EnvironmentPlan) -> None:
    drill = production_plan.drill
    assert drill
    first = drill.sources["shared"]
    church = "30000000-0000-4000-8000-000000000001"
    two = replace(
        drill,
        sources={"shared": first, "cell-2": replace(first, control_plane=False, databases=(church,))},
    )
    assert before.choose(two, None, None) == "cell-2"
    names = {tenant_database(one): "2026-11-20" for one in first.databases} | {"control_plane": "2026-11-20"}
    assert before.choose(two, report(**names), None) == "cell-2"
    assert before.choose(two, report(**names, **{tenant_database(church): "2026-11-27"}), None) == "shared"
    assert before.choose(two, report(**names), "shared") == "shared"
