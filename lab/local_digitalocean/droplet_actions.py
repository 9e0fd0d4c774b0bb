"""Actions on droplets: power, names, sizes, backups."""

from lab.local_digitalocean import catalogue
from lab.local_digitalocean.droplets import droplet_of, started
from lab.local_digitalocean.errors import not_found, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Record

routes = Routes()

# What a power action leaves behind.
_STATUS_AFTER = {"shutdown": "off", "power_off": "off", "power_on": "active", "reboot": "active"}
_FEATURE_AFTER = {
    "enable_backups": ("backups", True),
    "disable_backups": ("backups", False),
    "enable_ipv6": ("ipv6", True),
}


@routes.add("POST", "/v2/droplets/{droplet_id}/actions")
def _act(request: Request) -> Answer:
    account, droplet = request.account, droplet_of(request)
    request.need("type")
    kind = str(request.body["type"])
    change: Record = {}
    if droplet["locked"]:
        raise unprocessable("Droplet already has a pending event.")
    if kind in _STATUS_AFTER:
        if kind == "power_off" and droplet["status"] == "off":
            raise unprocessable("Droplet is already powered off.")
        change = {"status": _STATUS_AFTER[kind]}
    elif kind in _FEATURE_AFTER:
        feature, on = _FEATURE_AFTER[kind]
        others = [name for name in droplet["features"] if name != feature]
        change = {"features": [*others, feature] if on else others}
    elif kind == "rename":
        request.need("name")
        change = {"name": request.body["name"]}
    elif kind == "resize":
        change = _resized(droplet, request.body)
    elif kind != "change_backup_policy":
        raise unprocessable(f"{kind} is not a valid action here")
    return 201, {"action": started(account, droplet, kind, **change)}


def _resized(droplet: Record, body: Record) -> Record:
    size = catalogue.droplet_size(str(body.get("size")))
    if droplet["status"] != "off":
        raise unprocessable("Droplet must be powered off to be resized.")
    if size["disk"] < droplet["disk"]:
        raise unprocessable("This size is not available because it has a smaller disk.")
    disk = {"disk": size["disk"]} if body.get("disk") else {}
    return {"size": size, "size_slug": size["slug"], "memory": size["memory"], "vcpus": size["vcpus"], **disk}


@routes.add("GET", "/v2/actions/{action_id}", "/v2/droplets/{droplet_id}/actions/{action_id}")
def _get_action(request: Request) -> Answer:
    action = request.account.get("actions", request.parts["action_id"])
    if request.parts.get("droplet_id") not in (None, str(action["resource_id"])):
        raise not_found()
    return 200, {"action": action}


@routes.add("GET", "/v2/droplets/{droplet_id}/actions")
def _list_actions(request: Request) -> Answer:
    droplet = droplet_of(request)
    found = [one for one in request.account.all("actions") if one["resource_id"] == droplet["id"]]
    return 200, request.page("actions", found)
