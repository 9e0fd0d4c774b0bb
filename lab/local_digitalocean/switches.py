"""The stand-in's own endpoints: its state, injected faults, limits, the health of droplets, a backup now."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from werkzeug import Request as HttpRequest
from werkzeug import Response

from lab.local_digitalocean import backups, droplet_status
from lab.local_digitalocean.faults import Faults
from lab.local_digitalocean.store import Account

BELOW = "/_local/"
"""DigitalOcean's API has no path below this."""

Answer = tuple[Any, int]
_NOTHING: dict[str, Any] = {}


def answer(request: HttpRequest, account: Account, faults: Faults) -> Response:
    """Answer a request for a switch."""
    name, _, which = request.path.removeprefix(BELOW).partition("/")
    turn = _SWITCHES.get((request.method, name, bool(which)))
    with account.lock:
        account.settle()
        try:
            body, status = ({"message": "there is no such switch"}, 404) if turn is None else turn(
                account, faults, which, json.loads(request.get_data() or b"{}")
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            body, status = {"message": str(error)}, 422
        if request.method != "GET":
            account.save()
    return Response(json.dumps(body), status, content_type="application/json")


def _state(account: Account, _faults: Faults, _which: str, _wanted: Any) -> Answer:
    return {kind: list(table.values()) for kind, table in account.tables.items()}, 200


def _faults(_account: Account, faults: Faults, _which: str, _wanted: Any) -> Answer:
    shown = {key: getattr(faults, key) for key in ("latency", "per_minute", "per_hour")}
    return {**shown, "faults": [asdict(fault) for fault in faults.faults]}, 200


def _set_faults(_account: Account, faults: Faults, _which: str, wanted: Any) -> Answer:
    faults.set(wanted)
    return _NOTHING, 200


def _set_limits(account: Account, _faults: Faults, _which: str, wanted: Any) -> Answer:
    """Set what the account allows, until the stand-in ends."""
    account.quotas = replace(account.quotas, **wanted)
    return asdict(account.quotas), 200


def _set_droplets(account: Account, _faults: Faults, _which: str, wanted: Any) -> Answer:
    """Set whether new droplets will pass their health checks."""
    account.secrets["droplets_serve"] = "yes" if wanted.get("serve", True) else "no"
    return _NOTHING, 200


def _set_droplet(account: Account, _faults: Faults, which: str, wanted: Any) -> Answer:
    droplet = account.tables["droplets"].get(which)
    if droplet is None:
        return {"message": "there is no such droplet"}, 404
    droplet["_healthy"] = bool(wanted.get("healthy", True))
    return _NOTHING, 200


def _set_releases(account: Account, _faults: Faults, _which: str, wanted: Any) -> Answer:
    """Set whether droplets will succeed with new releases."""
    account.secrets[droplet_status.SWITCH] = "yes" if wanted.get("work", True) else "no"
    return _NOTHING, 200


def _set_isolation(account: Account, _faults: Faults, _which: str, wanted: Any) -> Answer:
    """Set what the isolation job says."""
    account.secrets[droplet_status.ISOLATION_SWITCH] = "yes" if wanted.get("success", True) else "no"
    return _NOTHING, 200


def _set_cluster(account: Account, _faults: Faults, which: str, wanted: Any) -> Answer:
    """Set a cluster's status, or when its backups were made."""
    cluster = account.named("clusters", which)
    if cluster is None:
        return {"message": "there is no such cluster"}, 404
    if "status" in wanted:
        cluster["status"] = str(wanted["status"])
    for one in cluster["_backups"]:
        one["created_at"] = wanted.get("backed_up", one["created_at"])
    return _NOTHING, 200


def _back_up(account: Account, _faults: Faults, which: str, _wanted: Any) -> Answer:
    cluster = account.named("clusters", which)
    if cluster is None:
        return {"message": "there is no such cluster"}, 404
    return {"created_at": backups.backup(account, cluster)["created_at"]}, 200


Switch = Callable[[Account, Faults, str, Any], Answer]
# By method, name, and whether an id follows.
_SWITCHES: dict[tuple[str, str, bool], Switch] = {
    ("GET", "state", False): _state,
    ("GET", "faults", False): _faults,
    ("PUT", "faults", False): _set_faults,
    ("PUT", "limits", False): _set_limits,
    ("PUT", "droplets", False): _set_droplets,
    ("PUT", "droplets", True): _set_droplet,
    ("PUT", "releases", False): _set_releases,
    ("PUT", "isolation", False): _set_isolation,
    ("PUT", "clusters", True): _set_cluster,
    ("POST", "backups", True): _back_up,
}
