"""Volumes, and their attachment to one droplet at a time."""

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Record, public

routes = Routes()

# DigitalOcean documentation, "Volumes: Limits".
MOST_OF_A_DROPLET = 7

VOLUME = "/v2/volumes/{volume_id}"
routes.lists("/v2/volumes", "volumes", "volumes")
routes.shows(VOLUME, "volumes", "volume")


@routes.add("POST", "/v2/volumes")
def _create(request: Request) -> Answer:
    request.need("name", "region", "size_gigabytes")
    account, body = request.account, request.body
    if any(one["name"] == body["name"] for one in account.all("volumes")):
        raise unprocessable("a volume with this name already exists")
    volume: Record = {
        "id": account.uuid(),
        "name": body["name"],
        "region": {
            "slug": body["region"],
            "name": body["region"],
            "available": True,
            "features": [],
            "sizes": [],
        },
        "size_gigabytes": body["size_gigabytes"],
        "description": body.get("description", ""),
        "tags": body.get("tags") or [],
        "droplet_ids": [],
        "filesystem_type": body.get("filesystem_type") or "",
        "filesystem_label": body.get("filesystem_label") or "",
        "created_at": account.clock.stamp(),
    }
    account.tables["volumes"][volume["id"]] = volume
    return 201, {"volume": public(volume)}


@routes.add("DELETE", VOLUME)
def _delete(request: Request) -> Answer:
    volume = request.account.get("volumes", request.parts["volume_id"])
    if volume["droplet_ids"]:
        raise unprocessable("the volume is attached to a droplet")
    del request.account.tables["volumes"][volume["id"]]
    return 204, None


@routes.add("POST", VOLUME + "/actions")
def _act(request: Request) -> Answer:
    account = request.account
    volume = account.get("volumes", request.parts["volume_id"])
    request.need("type")
    match request.body["type"]:
        case "attach":
            droplet = account.referred("droplets", request.body.get("droplet_id"), "droplet not found")
            if volume["droplet_ids"]:
                raise unprocessable("the volume is already attached to a droplet")
            attached = [one for one in account.all("volumes") if droplet["id"] in one["droplet_ids"]]
            if len(attached) >= MOST_OF_A_DROPLET:
                raise unprocessable("the droplet has as many volumes as it may have")
            volume["droplet_ids"] = [droplet["id"]]
        case "detach":
            if request.body.get("droplet_id") not in volume["droplet_ids"]:
                raise unprocessable("the volume is not attached to this droplet")
            volume["droplet_ids"] = []
        case "resize":
            if int(request.body.get("size_gigabytes", 0)) <= volume["size_gigabytes"]:
                raise unprocessable("a volume can only grow")
            volume["size_gigabytes"] = int(request.body["size_gigabytes"])
        case other:
            raise unprocessable(f"{other} is not a valid action here")
    number = account.number()
    action: Record = {
        "id": number,
        "status": "in-progress",
        "type": f"{request.body['type']}_volume",
        "started_at": account.clock.stamp(),
        "completed_at": None,
        "resource_id": None,
        "resource_type": "volume",
        "region": volume["region"],
        "region_slug": volume["region"]["slug"],
    }
    account.tables["actions"][str(number)] = action
    seconds = account.durations.action
    account.schedule(
        seconds, "actions", number, status="completed", completed_at=account.clock.stamp(seconds)
    )
    return 202, {"action": dict(action)}


@routes.add("GET", VOLUME + "/actions/{action_id}")
def _get_action(request: Request) -> Answer:
    return 200, {"action": request.account.get("actions", request.parts["action_id"])}
