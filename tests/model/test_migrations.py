"""What the file says of migrations becomes what droplets are told."""

import re

import pytest

from model.errors import InvalidInputError
from model.jobs import JOBS, MIGRATING, Databases, JobKind, migration_of
from model.loader import Environment
from model.migrations import MigrationsPlan
from model.plan import plan_environment
from model.pool import direct_connections
from model.service_variables import CONTROL_PLANE_DATABASE_URL, TENANT_DATABASE_URL, TENANT_ID, job_secrets
from model.services import CATALOGUE
from tests.model.workspace import STAGING, STAGING_TENANTS, Workspace

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"


def asked(staging: Workspace, written: str) -> Environment:
    staging.replace(STAGING, "\nvalkey:\n", f"\nmigrations: {written}\n\nvalkey:\n")
    (environment,) = staging.load()
    return environment


def planned(environment: Environment) -> MigrationsPlan:
    plans = [group.migrations for group in plan_environment(environment).groups]
    assert plans[0] is not None
    assert plans == [plans[0]] * len(plans), "groups wait for different things"
    return plans[0]


def test_a_file_that_does_not_ask_for_them_has_none(staging: Workspace) -> None:
    (environment,) = staging.load()
    assert [group.migrations for group in plan_environment(environment).groups] == [None, None]


def test_a_file_that_does_not_ask_for_them_is_warned(staging: Workspace) -> None:
    def said(environment: Environment) -> list[str]:
        return [str(one) for one in environment.warnings if "migrations" in one.path]

    (environment,) = staging.load()
    (warning,) = said(environment)
    assert (
        "a release changes no schema, also where control-plane-api or tenant-api brings migrations" in warning
    )
    assert "Add `migrations: {}`" in warning
    assert said(asked(staging, "{}")) == []


@pytest.mark.parametrize("written", ["", "  # later", "null", "~"])
def test_a_block_without_content_is_refused(staging: Workspace, written: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"migrations: this has no value\n    Give it a value, or remove"
    ):
        asked(staging, written)


@pytest.mark.parametrize("key", ["observability", "backups"])
def test_so_are_its_siblings(staging: Workspace, key: str) -> None:
    text = staging.text(STAGING)
    text = re.sub(rf"^{key}:\n(?:[ #].*\n|\n)*", "", text, flags=re.MULTILINE)
    staging.write(STAGING, f"{text}\n{key}:\n")
    with pytest.raises(InvalidInputError, match=rf"{key}: this has no value") as told:
        staging.load()
    assert len(told.value.problems) == 1


def test_every_optional_key_that_stands_there_has_a_value(staging: Workspace) -> None:
    staging.replace(STAGING_TENANTS, "slug: hope\n", "slug: hope\n    limits: {connections: }\n")
    with pytest.raises(InvalidInputError, match=r"limits\.connections: this has no value"):
        staging.load()


def test_every_image_that_may_bring_them_does_unless_it_is_left_out(staging: Workspace) -> None:
    plan = planned(asked(staging, "{canaries: [grace], parallel: 2, share: 90}"))
    assert [(job.service, job.databases) for job in plan.jobs] == [
        ("control-plane-api", Databases.CONTROL_PLANE),
        ("tenant-api", Databases.TENANTS),
    ]
    assert plan.jobs[1].image == "registry.digitalocean.com/presence360/tenant-api:1.4.2"
    assert plan.jobs[1].command == ("alembic", "upgrade", "head")
    assert (plan.canaries, plan.parallel, plan.share) == ((GRACE,), 2, 90)


def test_an_image_without_migrations_is_left_out(staging: Workspace) -> None:
    plan = planned(asked(staging, "{services: [tenant-api]}"))
    assert [job.service for job in plan.jobs] == ["tenant-api"]


def test_a_canary_that_is_not_there_or_not_served_is_a_warning(staging: Workspace) -> None:
    staging.replace(STAGING_TENANTS, "slug: hope\n", "slug: hope\n    status: suspended\n")
    environment = asked(staging, "{canaries: [graze, hope]}")
    said = [str(warning) for warning in environment.warnings if "canaries" in str(warning)]
    assert len(said) == 2
    assert "there is no church 'graze' in tenants.yaml, so nothing is tried out for the others" in said[0]
    assert "Did you mean 'grace'? Write the slug of a church, or remove it." in said[0]
    assert "hope is suspended, so it is not migrated, and tries nothing out for the others" in said[1]
    assert "Name a church that is active." in said[1]


def test_a_migration_may_know_its_database_and_no_other_secret() -> None:
    by_databases = {job.databases: job_secrets(job) for job in JOBS.values()}
    assert by_databases == {
        Databases.CONTROL_PLANE: (CONTROL_PLANE_DATABASE_URL,),
        Databases.TENANTS: (TENANT_DATABASE_URL, TENANT_ID),
    }


def test_a_migration_runs_in_an_image_that_every_environment_has() -> None:
    for service in MIGRATING:
        job = migration_of(service)
        assert job is not None
        assert job.kind is JobKind.MIGRATION
        assert CATALOGUE[service].required
    assert migration_of("web-tenant") is None


def test_connections_of_migrations_are_counted_where_there_are_any(staging: Workspace) -> None:
    (before,) = staging.load()
    after = asked(staging, "{parallel: 3}")
    assert direct_connections(after.file) - direct_connections(before.file) == 1 + 2 * 3
