"""Droplet autoscale pools: droplets that the account makes and removes by itself."""

from lab.local_digitalocean import droplets
from lab.local_digitalocean.errors import ApiError, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, within
from lab.local_digitalocean.store import Account, Record

routes = Routes()

# OpenAPI document, schemas "autoscale_pool_dynamic_config" and "autoscale_pool_static_config".
MOST_MINIMUM, MOST_MAXIMUM = 500, 1000
UTILIZATION = (0.05, 1)
COOLDOWN_MINUTES = (5, 20)
BAD_REQUEST = 400


def _pool(request: Request) -> Record:
    identifier = request.parts["autoscale_pool_id"]
    # The provider tells a pool that is gone by these words (its dropletautoscale/resource_droplet_autoscale.go).
    return request.account.get(
        "autoscale_pools", identifier, f"autoscale group with id {identifier} not found"
    )


def _members(account: Account, pool: Record) -> list[Record]:
    return [droplet for droplet in account.all("droplets") if droplet.get("_pool") == pool["id"]]


def _shown(account: Account, pool: Record) -> Record:
    return {**pool, "active_resources_count": len(_members(account, pool))}


def _wanted(request: Request) -> Record:
    request.need("name", "config", "droplet_template")
    config, template = request.body["config"], request.body["droplet_template"]
    within(config, "target_number_instances", 1, MOST_MAXIMUM)
    within(config, "min_instances", 1, MOST_MINIMUM)
    within(config, "max_instances", 1, MOST_MAXIMUM)
    within(config, "cooldown_minutes", *COOLDOWN_MINUTES)
    for name in ("target_cpu_utilization", "target_memory_utilization"):
        within(config, name, *UTILIZATION)
    if "target_number_instances" not in config:
        if not {"min_instances", "max_instances"} <= set(config):
            raise unprocessable("config needs target_number_instances, or min_instances and max_instances")
        if config["min_instances"] > config["max_instances"]:
            raise unprocessable("min_instances must not exceed max_instances")
        if not {"target_cpu_utilization", "target_memory_utilization"} & set(config):
            raise unprocessable("config needs a target utilization")
    return {"name": request.body["name"], "config": config, "droplet_template": template}


def _fill(account: Account, pool: Record) -> None:
    """Make or remove droplets until there are as many as the pool wants; it never measures load."""
    config, members = pool["config"], _members(account, pool)
    low = config.get("target_number_instances") or config["min_instances"]
    high = config.get("target_number_instances") or config["max_instances"]
    wanted = min(max(len(members), low), high)
    for droplet in members[wanted:]:
        del account.tables["droplets"][str(droplet["id"])]
    for _ in range(wanted - len(members)):
        name = f"{pool['name']}-{account.number()}"
        droplet = droplets.make(account, {**pool["droplet_template"], "name": name})
        droplet["_pool"] = pool["id"]


@routes.add("GET", "/v2/droplets/autoscale")
def _list(request: Request) -> Answer:
    account = request.account
    return 200, request.page(
        "autoscale_pools", [_shown(account, pool) for pool in account.all("autoscale_pools")]
    )


@routes.add("POST", "/v2/droplets/autoscale")
def _create(request: Request) -> Answer:
    account, wanted = request.account, _wanted(request)
    account.unique("autoscale_pools", wanted["name"], 409, "an autoscale pool with this name already exists")
    now = account.clock.stamp()
    utilization = {"cpu": 0.0, "memory": 0.0}
    pool = {"id": account.uuid(), **wanted, "current_utilization": utilization, "status": "active",
            "created_at": now, "updated_at": now}  # fmt: skip
    _fill(account, pool)
    account.tables["autoscale_pools"][pool["id"]] = pool
    return 202, {"autoscale_pool": _shown(account, pool)}


@routes.add("GET", "/v2/droplets/autoscale/{autoscale_pool_id}")
def _get(request: Request) -> Answer:
    return 200, {"autoscale_pool": _shown(request.account, _pool(request))}


@routes.add("PUT", "/v2/droplets/autoscale/{autoscale_pool_id}")
def _update(request: Request) -> Answer:
    account, pool, wanted = request.account, _pool(request), _wanted(request)
    taken = "an autoscale pool with this name already exists"
    account.unique("autoscale_pools", wanted["name"], 409, taken, but=pool["id"])
    if wanted["droplet_template"] != pool["droplet_template"]:
        # A new template replaces all droplets, without a check that the new ones serve (documentation).
        for droplet in _members(account, pool):
            del account.tables["droplets"][str(droplet["id"])]
    pool.update({**wanted, "updated_at": account.clock.stamp()})
    _fill(account, pool)
    return 200, {"autoscale_pool": _shown(account, pool)}


@routes.add("GET", "/v2/droplets/autoscale/{autoscale_pool_id}/members")
def _list_members(request: Request) -> Answer:
    members = [
        {
            "droplet_id": droplet["id"],
            "created_at": droplet["created_at"],
            "updated_at": droplet["created_at"],
            "health_status": "healthy",
            "unhealthy_reason": "",
            "status": "active" if droplet["status"] == "active" else "provisioning",
            "current_utilization": {"cpu": 0.0, "memory": 0.0},
        }
        for droplet in _members(request.account, _pool(request))
    ]
    return 200, request.page("droplets", members)


@routes.add("DELETE", "/v2/droplets/autoscale/{autoscale_pool_id}")
def _delete(request: Request) -> Answer:
    account, pool = request.account, _pool(request)
    for droplet in _members(account, pool):
        del droplet["_pool"]  # they stay, without a pool
    del account.tables["autoscale_pools"][pool["id"]]
    return 202, None


@routes.add("DELETE", "/v2/droplets/autoscale/{autoscale_pool_id}/dangerous")
def _delete_with_members(request: Request) -> Answer:
    account, pool = request.account, _pool(request)
    if request.headers.get("X-Dangerous") != "true":
        raise ApiError(BAD_REQUEST, "header X-Dangerous: true is required")
    for droplet in _members(account, pool):
        del account.tables["droplets"][str(droplet["id"])]
    del account.tables["autoscale_pools"][pool["id"]]
    return 202, None
