"""Backups of database clusters, and what a restore begins with."""

from lab.local_digitalocean.cluster_model import CLUSTER, cluster_of, storage
from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()


def restored(account: Account, body: Record) -> Record | None:
    """Return what a new cluster is to be restored from; None if it is none that is.

    Raises:
        ApiError: 422: there is no such cluster, or no such backup of it.
    """
    wanted = body.get("backup_restore")
    if not wanted:
        return None
    source = account.named("clusters", str(wanted.get("database_name")))
    if source is None:
        raise unprocessable("backup_restore: there is no such cluster")
    if source["engine"] != body["engine"]:
        raise unprocessable("backup_restore: the source has another engine")
    asked = str(wanted.get("backup_created_at") or "")
    kept = [one for one in source["_backups"] if not asked or one["created_at"] <= asked]
    if not kept:
        raise unprocessable("backup_restore: there is no backup of that time")
    if source["storage_size_mib"] > (body.get("storage_size_mib") or storage(body["size"])):
        raise unprocessable("backup_restore: the new cluster's disk is too small")
    return {**kept[-1]["_state"], "_source": source["id"], "_backup": kept[-1]}


def backup(account: Account, cluster: Record, later: float = 0.0) -> Record:
    """Keep a backup of a cluster as it is."""
    state = {key: cluster[key] for key in ("_users", "_databases", "_administrator")}
    kept: Record = {
        "created_at": account.clock.stamp(later),
        "size_gigabytes": 0.03,
        "incremental": False,
        "_state": {key: dict(value) if isinstance(value, dict) else value for key, value in state.items()},
    }
    if account.servers is not None:
        kept["_copy"] = account.servers.backup(account, cluster)
    cluster["_backups"].append(kept)
    return kept


@routes.add("GET", CLUSTER + "/backups")
def _list_backups(request: Request) -> Answer:
    cluster = cluster_of(request)
    if cluster["engine"] == "valkey":
        raise unprocessable("this engine has no backups")
    now = request.account.clock.stamp()
    return 200, {
        "backups": [public(one) for one in cluster["_backups"] if one["created_at"] <= now],
        "scheduled_backup_time": {"backup_hour": 2, "backup_minute": 30, "backup_interval_hours": 24},
    }
