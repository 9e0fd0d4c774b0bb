"""Three hours of production, with trouble in each part, so that no panel is empty: a night that no one should have.

The end is always the same moment: pictures of it can be compared.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from droplet.backup.history import History as Dumps
from droplet.jobs.contract import Record
from lab.dashboards import says
from lab.dashboards.says import Sample
from lab.dashboards.values import END, EVERY_SECONDS, Series
from model.plan import EnvironmentPlan

CHURCHES: Final = {
    slug: f"{number:08x}-0000-4000-8000-000000000000"
    for number, slug in enumerate(
        (
            "grace", "hope", "covenant", "zion", "river", "bethel", "calvary", "emmanuel", "trinity", "victory",
            "harvest", "redeemer", "shalom", "living-water", "new-life", "cornerstone",
        ),
        start=1,
    )
}  # fmt: skip
"""Ids by slug; the fourth has a cluster of its own."""
_OWN = CHURCHES["zion"]
CLUSTERS: Final = {"shared": 97, _OWN: 22}
"""By cluster, how many connections it takes."""
_RELEASED: Final = END - 65 * 60
_BEFORE, _AFTER = "5d1c0a7e93b2f468", "c81f4b60e2d7a935"
_OLD_IMAGE, _NEW_IMAGE = "1.4.1", "1.4.2"


def night(plan: EnvironmentPlan) -> Iterator[Series]:
    """Return all series of an environment's night, as they are in the store."""
    for group in plan.groups:
        names = [f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:6]}" for name in group.droplet_names]
        services = {service.name: service.memory_mib for service in group.placement.services}
        for number, name in enumerate(names):
            at = {"instance": name, "group": group.group}
            yield from _collected("droplet", at, _own(services, number, name))
            yield from _collected("node", at, _node(number))
            yield from _collected("requests", at, _requests(services) if group.placement.public else [])
            yield from _running(services, number, at)
            if group.isolation:
                yield from _collected("droplet", at, _of_control())
            if group.pool:
                waits = {CHURCHES["hope"]: 7} if number == 0 else {}
                yield from _collected(
                    "droplet", at, says.samples(says.pooled(waits, END, list(CHURCHES.values())))
                )
            yield from _sent(services, name, group.group)
    yield from _observing(plan)


def _collected(job: str, at: Mapping[str, str], found: Iterable[Sample]) -> Iterator[Series]:
    labels = {"job": job, **at}
    yield Series(Sample("up", labels, 1, counter=False))
    for sample in found:
        yield Series(replace(sample, labels={**sample.labels, **labels}))


def _own(services: Mapping[str, int], number: int, name: str) -> Iterator[Sample]:
    yield from says.samples(says.recorded("programs"))
    yield from says.samples(says.health(dict.fromkeys(services, True)))
    killed, reboot = ("worker" if number == 0 else ""), number == 1
    yield from says.samples(
        says.containers(services, restarts=4 if number == 0 else 0, killed=killed, reboot=reboot, now=END)
    )
    records = [
        Record(
            job=job, service="worker", state=state, due=END - age, run=None, droplet=name, name=name,
            started=END - age, ended=END - age + 95, last_success=END - age - back, time=END,
        )
        for job, state, age, back in (("nightly-report", "ok", 10_800, 0), ("clean-up", "failed", 3_600, 86_400))
    ]  # fmt: skip
    yield from says.samples(
        says.scheduled(records if number == 0 and "worker" in services else [], name, END)
    )


def _running(services: Mapping[str, int], number: int, at: Mapping[str, str]) -> Iterator[Series]:
    """What converge says: a release came from droplet to droplet; on workers it failed, and is held."""
    worker = "worker" in services
    change = _RELEASED + number * 300
    last = ("failed" if number == 0 else "held") if worker else "serving"
    spans = [
        (_BEFORE, _OLD_IMAGE, "serving", 0.0, _RELEASED),
        (_BEFORE, _OLD_IMAGE, "waiting", _RELEASED, change),
    ]
    spans.append(
        (_BEFORE, _OLD_IMAGE, last, change, END) if worker else (_AFTER, _NEW_IMAGE, last, change, END)
    )
    for digest, tag, phase, since, until in spans:
        images = {service: f"registry.digitalocean.com/presence360/{service}:{tag}" for service in services}
        unhealthy = "worker" if phase == "failed" else "web-control-plane" if number == 1 else ""
        text = says.release(digest, images, unhealthy, phase, END, closed=["shalom"])
        labels = {"job": "droplet", **at}
        for sample in says.samples(text):
            yield Series(
                replace(sample, labels={**sample.labels, **labels}),
                since,
                until - EVERY_SECONDS * (until < END),
            )


def _node(number: int) -> Iterator[Sample]:
    little = {
        "node_filesystem_avail_bytes": 0.11 if number == 0 else 0.6,
        "node_memory_MemAvailable_bytes": 0.35 + 0.1 * number,
    }
    whole = {
        "node_filesystem_avail_bytes": "node_filesystem_size_bytes",
        "node_memory_MemAvailable_bytes": "node_memory_MemTotal_bytes",
    }
    found = list(says.samples(says.recorded("node")))
    sizes = {sample.name: sample.value for sample in found}
    for sample in found:
        share = little.get(sample.name)
        yield replace(sample, value=share * sizes[whole[sample.name]]) if share else sample


def _requests(services: Mapping[str, int]) -> Iterator[Sample]:
    """Of the services that are here, and of every church as of the first one that was recorded."""
    for sample in says.samples(says.recorded("requests")):
        if (tenant := sample.labels.get("tenant")) is not None:
            if tenant == "grace" and "web-tenant" in services:
                yield from (replace(sample, labels={**sample.labels, "tenant": slug}) for slug in CHURCHES)
        elif sample.labels["service"] in {*services, "nginx"}:
            yield sample


def _sent(services: Mapping[str, int], name: str, group: str) -> Iterator[Series]:
    for service in services:
        kinds = says.OF_API if service.endswith("-api") else says.OF_WORKER if service == "worker" else ()
        labels = {
            "service_name": service, "service_instance_id": f"{name}-1", "service_namespace": "presence360",
            "deployment_environment_name": "production", "host_name": name, "group": group,
        }  # fmt: skip
        for sample in says.samples(says.sent(kinds)) if kinds else ():
            yield Series(replace(sample, labels={**sample.labels, **labels}))


def _of_control() -> Iterator[Sample]:
    """Isolation, migrations and dumps."""
    ids = list(CHURCHES.values())
    shared = [f"tenant_{one}" for one in ids if one != _OWN]
    yield from says.samples(says.isolated({"shared": len(shared) + 1, _OWN: 1}, END))
    used = {
        (database, state): 4 - min(index, 3)
        for index, database in enumerate(shared)
        for state in ("active", "idle")
    }
    used |= {
        ("control_plane", "idle"): 6,
        ("administrator", "active"): 2,
        (shared[1], "idle in transaction"): 9,
    }
    own = {(f"tenant_{_OWN}", "active"): 4, (f"tenant_{_OWN}", "idle"): 5}
    yield from says.samples(
        says.connected({"shared": (CLUSTERS["shared"], used), _OWN: (CLUSTERS[_OWN], own)})
    )
    results = dict.fromkeys(shared, "done") | {shared[2]: "failed", shared[5]: "due"}
    yield from says.samples(says.migrated(results, END))
    dumps = {
        ("shared", database): Dumps(at=END - 5 * 3600 - 60 * index, key="k", bytes=(40 + 17 * index) * 10**6)
        for index, database in enumerate(shared)
    }
    dumps[_OWN, f"tenant_{_OWN}"] = Dumps(at=END - 4 * 3600, key="k", bytes=2_400_000_000)
    dumps["shared", shared[3]] = Dumps(at=END - 31 * 3600, key="k", bytes=120_000_000, tries=4, failed=END)
    dumps["shared", shared[-1]] = Dumps()
    yield from says.samples(says.dumped(dumps, END))
    yield from says.samples(says.drilled(END))


def _observing(plan: EnvironmentPlan) -> Iterator[Series]:
    """What the observability droplet's own programs say, and what vmalert writes of alerts."""
    at = {"instance": "observability", "group": "observability"}
    known = {
        "redis_memory_max_bytes": 1024.0**3,
        "redis_memory_used_bytes": 0.62 * 1024**3,
        "redis_blocked_clients": 14,
    }
    known |= {"redis_connected_clients": 46, "redis_db_keys": 260, "redis_db_keys_expiring": 210}
    known |= {"vm_daily_series_limit_current_series": 14_200}
    for job, name in (
        ("valkey", "valkey"),
        ("victoria-metrics", "store"),
        ("vmalert", "rules"),
        ("alertmanager", "messages"),
    ):
        found = [
            replace(sample, value=known.get(sample.name, sample.value))
            for sample in says.samples(says.recorded(name))
            if sample.name != "redis_key_size"
        ]
        yield from _collected(job, at, found)
    for index, one in enumerate(CHURCHES.values()):
        for kind, jobs in (("tasks", 3 + 300 // (1 + index)), ("urgent", 2)):
            labels = {"db": "db0", "key": f"tenant-{one}:{kind}", "job": "valkey", **at}
            yield Series(Sample("redis_key_size", labels, jobs, counter=False))
    for number, target in enumerate(plan.observability.names if plan.observability else ()):
        for sample in says.samples(says.recorded("names")):
            value = sample.value
            if sample.name == "probe_ssl_earliest_cert_expiry":
                value = END + (52 + number) * 86_400
            if sample.name == "probe_success" and target.startswith("cp."):
                value = 0
            yield Series(
                replace(sample, value=value, labels={**sample.labels, "job": "names", **at, "target": target})
            )
    for alert, severity, labels, minutes in (
        ("ErrorsBurn", "critical", {"service": "tenant-api"}, 22),
        ("ReleaseFailed", "critical", {"instance": "production-worker-1"}, 55),
        ("ConnectionsNearLimit", "warning", {"cluster": "shared"}, 18),
        ("TenantWaits", "warning", {"tenant": CHURCHES["hope"]}, 12),
        ("DiskNearlyFull", "warning", {"instance": "production-tenant-1", "mountpoint": "/"}, 90),
    ):
        firing = {
            "alertname": alert,
            "alertstate": "firing",
            "severity": severity,
            "environment": "production",
            **labels,
        }
        yield Series(Sample("ALERTS", firing, 1, counter=False), since=END - 60 * minutes)
