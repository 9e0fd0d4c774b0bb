"""Secrets that are rotated as docs/runbooks/rotate-secrets.md says, on a real Postgres, with real age and dumps."""

import secrets
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from lab.managed_cluster import ADMINISTRATOR, Tenant
from lab.object_storage import Gateway
from tests.backups.conftest import Clusters, clusters, gateway, make_site, template
from tests.backups.site import Key
from tests.isolation.attempts import works

__all__ = ["clusters", "gateway", "template"]


@pytest.mark.nightly("recovery")
def test_the_isolation_job_works_again_with_the_administrators_new_password(clusters: Clusters) -> None:
    cluster = clusters()
    (tenant,) = cluster.tenants([1])
    assert cluster.job().code == 0
    old, new = cluster.passwords[ADMINISTRATOR], secrets.token_hex(8)
    cluster.superuser(f"ALTER ROLE {ADMINISTRATOR} PASSWORD '{new}'")
    # Until the apply has handed it on: the job says so, and no church notices.
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["success"]) == (1, 0), outcome.log
    assert "password authentication failed" in outcome.log
    assert old not in outcome.log
    works(cluster, tenant.user(), tenant.database)
    cluster.passwords[ADMINISTRATOR] = new
    outcome = cluster.job()
    assert (outcome.code, outcome.metrics["success"]) == (0, 1), outcome.log


@pytest.mark.nightly("recovery")
def test_a_dump_is_opened_by_the_key_that_was_a_recipient_then_and_by_no_other(
    clusters: Clusters, gateway: Gateway, tmp_path: Path
) -> None:
    site = make_site(clusters, gateway, tmp_path)
    database = Tenant.number(1).database
    operators, drill = site.keys
    assert site.once()[0] == 0
    (before,) = site.dumps(database)
    site.keys = (operators, Key.new())
    site.ask(database)
    assert site.once()[0] == 0
    *_, after = site.dumps(database)
    assert after != before
    for key in site.keys:
        assert site.decrypted(f"{after}/contents.age", key)
    with pytest.raises(ValueError, match="no identity matched"):
        site.decrypted(f"{after}/contents.age", drill)
    # Why the old key is kept until the dumps that were made for it have expired.
    assert site.decrypted(f"{before}/contents.age", drill)
    with pytest.raises(ValueError, match="no identity matched"):
        site.decrypted(f"{before}/contents.age", site.keys[1])
