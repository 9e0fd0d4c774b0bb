"""What goes wrong with clusters, churches, secrets, alerts, backups, limits, and what is deployed."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from lab.checked.breaking import Undo, breaks, change, cluster, edited
from lab.checked.estate import Estate
from model.alert_receipt import RECEIPT
from model.backup_status import STATUS_KEY
from model.migration_status import DETAILS_KEY, SUMMARY_KEY
from model.migrations import MIGRATIONS_KEY
from model.naming import CONTROL_PLANE_DATABASE, secrets_key
from model.restore_drill import REPORTS
from ops.bucket import Bucket
from ops.check.finding import Colour
from ops.waiting import SYSTEM_CLOCK


@breaks("clusters", "a cluster is not online")
def _(estate: Estate) -> Undo:
    path = f"/_local/clusters/{cluster(estate)['name']}"
    estate.ask("PUT", path, {"status": "migrating"})
    return lambda: estate.ask("PUT", path, {"status": "online"})


@breaks("backups", "the newest backup is of the day before yesterday")
def _(estate: Estate) -> Undo:
    path, now = f"/_local/clusters/{cluster(estate)['name']}", SYSTEM_CLOCK.time()
    old = now - timedelta(days=2)
    estate.ask("PUT", path, {"backed_up": f"{old:%Y-%m-%dT%H:%M:%SZ}"})
    return lambda: estate.ask("PUT", path, {"backed_up": f"{now:%Y-%m-%dT%H:%M:%SZ}"})


@breaks("trusted-sources", "a cluster lets an address in")
def _(estate: Estate) -> Undo:
    path = f"/v2/databases/{cluster(estate)['id']}/firewall"
    rules = estate.ask("GET", path)["rules"]
    estate.ask("PUT", path, {"rules": [*rules, {"type": "ip_addr", "value": "203.0.113.99"}]})
    return lambda: estate.ask("PUT", path, {"rules": rules})


@breaks("control-plane", "the control plane's user is gone")
def _(estate: Estate) -> Undo:
    path = f"/v2/databases/{cluster(estate)['id']}/users"
    user = estate.plan.control_plane.user
    estate.ask("DELETE", f"{path}/{user}")
    return lambda: estate.ask("POST", path, {"name": user})


@breaks("tenants", "a church's published credentials are gone")
def _(estate: Estate) -> Undo:
    bucket = estate.plan.tenant_plane.credentials.name
    key = f"tenants/{estate.plan.tenants[0].id}.json"
    before = (estate.spaces.read(bucket, key) or b"{}").decode()
    estate.spaces.delete(bucket, key)
    return lambda: estate.put(bucket, key, before)


@breaks("isolation", "a church reaches another one's database")
def _(estate: Estate) -> Undo:
    estate.ask("PUT", "/_local/isolation", {"success": False})
    return lambda: estate.ask("PUT", "/_local/isolation", {"success": True})


@breaks("migrations", "nothing is said of the control plane's database")
def _(estate: Estate) -> Undo:
    (control,) = [group for group in estate.plan.groups if group.isolation]
    return edited(estate, control.config.status_bucket, DETAILS_KEY, lambda said: said["databases"].pop(0))


@breaks("migrations", "a migration failed")
def _(estate: Estate) -> Undo:
    (control,) = [group for group in estate.plan.groups if group.isolation]
    return edited(estate, control.config.status_bucket, SUMMARY_KEY, lambda said: said.update(state="failed"))


@breaks(
    "migrations",
    "a release was deployed, and the control group still speaks of the one before",
    Colour.YELLOW,
)
def _(estate: Estate) -> Undo:
    (control,) = [group for group in estate.plan.groups if group.isolation]
    bucket = control.config.bucket
    # Written again, so that it is new: how old a deploy is decides whether that is wrong.
    return edited(
        estate,
        bucket,
        MIGRATIONS_KEY,
        lambda said: said["jobs"][0].update(image="registry.example/tenant-api:2"),
    )


@breaks("secrets", "a service's file of secrets has no value")
def _(estate: Estate) -> Undo:
    group = next(one for one in estate.plan.groups if any(one.config.secrets.values()))
    service = next(name for name, secrets in group.config.secrets.items() if secrets)
    bucket, key = group.config.bucket, secrets_key(service)
    before = (estate.spaces.read(bucket, key) or b"").decode()
    estate.put(bucket, key, "# nothing\n")
    return lambda: estate.put(bucket, key, before)


@breaks("alerts", "an alert is gone")
def _(estate: Estate) -> Undo:
    found = next(
        one for one in estate.all("/v2/monitoring/alerts", "policies")
        if one["description"].startswith(f"{estate.plan.name}: ")
    )  # fmt: skip
    estate.ask("DELETE", f"/v2/monitoring/alerts/{found['uuid']}")
    return lambda: estate.ask("POST", "/v2/monitoring/alerts", found)


@breaks("uptime", "an uptime check is off")
def _(estate: Estate) -> Undo:
    (found, *_) = estate.all("/v2/uptime/checks", "checks")
    path = f"/v2/uptime/checks/{found['id']}"
    estate.ask("PUT", path, {**found, "enabled": False})
    return lambda: estate.ask("PUT", path, found)


@breaks("test-alert", "the last test alert is 31 days old")
def _(estate: Estate) -> Undo:
    bucket = estate.plan.observability.status_bucket if estate.plan.observability else ""
    old = f"{SYSTEM_CLOCK.time() - timedelta(days=31):%Y-%m-%dT%H:%M:%SZ}"
    return edited(estate, bucket, RECEIPT, lambda said: said.update(time=old, asked=old))


@breaks("dumps", "a database was dumped 27 hours ago")
def _(estate: Estate) -> Undo:
    bucket = estate.plan.backups.bucket if estate.plan.backups else ""
    old = f"{SYSTEM_CLOCK.time() - timedelta(hours=27):%Y-%m-%dT%H:%M:%SZ}"
    return edited(estate, bucket, STATUS_KEY, lambda said: said["databases"][1].update(at=old))


@breaks(
    "dumps", "the copy of a church that a move has left was dumped just now, and what is served 27 hours ago"
)
def _(estate: Estate) -> Undo:
    bucket = estate.plan.backups.bucket if estate.plan.backups else ""
    old = f"{SYSTEM_CLOCK.time() - timedelta(hours=27):%Y-%m-%dT%H:%M:%SZ}"

    def left(said: dict[str, Any]) -> None:
        served = said["databases"][1]
        said["databases"].append({**served, "cluster": "another"})
        served.update(at=old)

    return edited(estate, bucket, STATUS_KEY, left)


@breaks("dumps", "a church is new, and was not dumped yet", Colour.YELLOW)
def _(estate: Estate) -> Undo:
    bucket = estate.plan.backups.bucket if estate.plan.backups else ""
    return edited(estate, bucket, STATUS_KEY, lambda said: said["databases"].pop())


@breaks("dumps", "a database could never be dumped")
def _(estate: Estate) -> Undo:
    bucket = estate.plan.backups.bucket if estate.plan.backups else ""
    never = {"at": None, "tries": 3, "reason": "permission denied"}
    return edited(estate, bucket, STATUS_KEY, lambda said: said["databases"][1].update(never))


@breaks("copies", "the newest copy of a database is of the day before yesterday")
def _(estate: Estate) -> Undo:
    now, database = SYSTEM_CLOCK.time(), CONTROL_PLANE_DATABASE
    if plan := estate.plan.backups:
        bucket = Bucket.of(estate.environ, plan.copy_region, plan.copy_bucket)
        bucket.erase(f"{next(iter(plan.copy_days))}/{database}/")
    estate.copy(now - timedelta(hours=37), [database])
    return lambda: estate.copy(now, [database])


@breaks("drill", "a restore drill failed")
def _(estate: Estate) -> Undo:
    bucket = estate.plan.backups.bucket if estate.plan.backups else ""
    stamp = f"{SYSTEM_CLOCK.time():%Y-%m-%dT%H:%M:%SZ}"
    key = f"{REPORTS}/{SYSTEM_CLOCK.time():%Y%m%dT%H%M%SZ}.json"
    estate.put(bucket, key, estate.drill_report(stamp, "grace came back without its tables"))
    return lambda: estate.spaces.delete(bucket, key)


@breaks("account", "the account has no room to replace a droplet")
def _(estate: Estate) -> Undo:
    there = len(estate.all("/v2/droplets", "droplets"))
    before = int(estate.ask("GET", "/v2/account")["account"]["droplet_limit"])
    estate.ask("PUT", "/_local/limits", {"droplets": there})
    return lambda: estate.ask("PUT", "/_local/limits", {"droplets": before})


@breaks("deployed", "an object was deployed from another checkout")
def _(estate: Estate) -> Undo:
    config = estate.plan.groups[0].config
    return edited(
        estate, config.bucket, "release.json", lambda said: said.update(images={"worker": "other:1"})
    )


@breaks("capacity", "the account is allowed one droplet")
def _(estate: Estate) -> Undo:
    account = estate.environment.file.account.model_copy(update={"droplets": 1})
    file = estate.environment.file.model_copy(update={"account": account})
    return change(estate, "environment", replace(estate.environment, file=file))


@breaks("repository", "a file of the checkout holds a private key")
def _(estate: Estate) -> Undo:
    file = estate.root / "id_ed25519"
    file.write_text(f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\nb3BlbnNzaC1rZXk0\n", encoding="utf-8")
    return file.unlink


@breaks("checkout", "something is not committed", Colour.YELLOW)
def _(estate: Estate) -> Undo:
    file = estate.root / "edited"
    file.write_text("An edit.\n", encoding="utf-8")
    return file.unlink


@breaks("state", "an output of Terraform's holds the password of a user")
def _(estate: Estate) -> Undo:
    file = estate.state
    before = file.read_text(encoding="utf-8")
    content = json.loads(before)
    user = next(one for one in content["resources"] if one["type"] == "digitalocean_database_user")
    password = user["instances"][0]["attributes"]["password"]
    content["outputs"]["password"] = {"value": f"it is {password}", "type": "string"}
    file.write_text(json.dumps(content), encoding="utf-8")
    return lambda: file.write_text(before, encoding="utf-8")
