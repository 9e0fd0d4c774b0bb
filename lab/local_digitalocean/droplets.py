"""Droplets."""

import re
from ipaddress import ip_network

from lab.local_digitalocean import catalogue, projects
from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.ssh_keys import ssh_key
from lab.local_digitalocean.store import Account, Record, public

routes = Routes()

_NAME = re.compile(
    r"^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$"
)  # OpenAPI document, schema "droplet_single_create"
MOST_USER_DATA = 64 * 1024  # bytes (OpenAPI document, schema "droplet_create")
# Documentation addresses (RFC 5737), one block for droplets.
ADDRESSES = "203.0.113."
HOSTS = 254
# The first addresses of a VPC are the gateway's and DigitalOcean's own.
FIRST_HOST = 4


@routes.add("GET", "/v2/droplets")
def _list(request: Request) -> Answer:
    account, query = request.account, request.query
    found = (
        list(account.tagged("droplets", query["tag_name"]))
        if query.get("tag_name")
        else account.all("droplets")
    )
    if query.get("name"):
        found = [droplet for droplet in found if droplet["name"] == query["name"]]
    return 200, request.page("droplets", found)


@routes.add("POST", "/v2/droplets")
def _create(request: Request) -> Answer:
    account, body = request.account, request.body
    names = body.get("names") or [body.get("name")]
    if len(account.tables["droplets"]) + len(names) > account.quotas.droplets:
        raise unprocessable("creating this/these droplet(s) will exceed your droplet limit")
    made = [make(account, {**body, "name": name}) for name in names]
    shown = [public(droplet) for droplet in made]
    actions = [started(account, droplet, "create") for droplet in made]
    links = [
        {"id": one["id"], "rel": "create", "href": f"{request.base}/v2/actions/{one['id']}"}
        for one in actions
    ]
    return 202, {
        **({"droplets": shown} if "names" in body else {"droplet": shown[0]}),
        "links": {"actions": links},
    }


def make(account: Account, body: Record) -> Record:
    """Make a droplet, which is ``new`` until it is active.

    Raises:
        ApiError: 422: a field of the request is invalid.
    """
    if not body.get("name") or not _NAME.match(str(body["name"])):
        raise unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if len((body.get("user_data") or "").encode()) > MOST_USER_DATA:
        raise unprocessable("User data cannot be larger than 64KB")
    size, image = catalogue.droplet_size(str(body.get("size"))), catalogue.image(body.get("image"))
    region = catalogue.region(str(body.get("region")))
    vpc = _vpc(account, body, region["slug"])
    for key in body.get("ssh_keys") or []:
        if ssh_key(account, key) is None:
            raise unprocessable(f"{key} are invalid key identifiers for Droplet creation.")
    projects.check(account, body.get("project_id"))
    number = account.number()
    droplet = {
        "id": number,
        "name": body["name"],
        **{key: size[key] for key in ("memory", "vcpus", "disk")},
        "locked": True,
        "status": "new",
        "kernel": None,
        "created_at": account.clock.stamp(),
        "features": _features(body, vpc),
        "backup_ids": [],
        "next_backup_window": None,
        "snapshot_ids": [],
        "image": image,
        "volume_ids": [],
        "size": size,
        "size_slug": size["slug"],
        "networks": {"v4": [], "v6": []},
        "region": region,
        "tags": account.tag_all(body.get("tags") or []),
        "vpc_uuid": vpc["id"] if vpc else "",
    }
    account.tables["droplets"][str(number)] = droplet
    projects.assign(account, f"do:droplet:{number}", body.get("project_id"))
    _boot(account, droplet, vpc)
    return droplet


def _features(body: Record, vpc: Record | None) -> list[str]:
    features = ["droplet_agent"] if body.get("with_droplet_agent") else []
    features += [name for name in ("monitoring", "backups", "ipv6") if body.get(name)]
    return [*features, "private_networking"] if vpc else features


def _vpc(account: Account, body: Record, region: str) -> Record | None:
    if body.get("vpc_uuid"):
        vpc = account.referred("vpcs", body["vpc_uuid"], "You specified an invalid VPC for Droplet creation.")
        if vpc["region"] != region:
            raise unprocessable("The VPC is in another region than the Droplet.")
        return vpc
    return next((one for one in account.all("vpcs") if one["region"] == region and one["default"]), None)


def _boot(account: Account, droplet: Record, vpc: Record | None) -> None:
    """Schedule that a new droplet becomes active, with addresses, and later healthy unless that is switched off."""
    taken = {one["ip_address"] for other in account.all("droplets") for one in other.get("_addresses", [])}
    public_address = next(
        one for one in (f"{ADDRESSES}{host}" for host in range(1, HOSTS)) if one not in taken
    )
    addresses = [
        {
            "ip_address": public_address,
            "netmask": "255.255.255.0",
            "gateway": f"{ADDRESSES}254",
            "type": "public",
        }
    ]
    if vpc:
        network = ip_network(vpc["ip_range"])
        hosts = (str(network[index]) for index in range(FIRST_HOST, network.num_addresses - 1))
        private = next(one for one in hosts if one not in taken)
        addresses.insert(
            0,
            {
                "ip_address": private,
                "netmask": str(network.netmask),
                "gateway": str(network[1]),
                "type": "private",
            },
        )
    droplet["_addresses"] = addresses
    ready = account.durations.droplet
    networks = {"v4": addresses, "v6": []}
    account.schedule(ready, "droplets", droplet["id"], status="active", locked=False, networks=networks)
    if account.secrets.get("droplets_serve", "yes") == "yes":
        account.schedule(ready + account.durations.serving, "droplets", droplet["id"], _healthy=True)


def droplet_of(request: Request) -> Record:
    """Return the droplet in the path."""
    return request.account.get("droplets", request.parts["droplet_id"])


@routes.add("GET", "/v2/droplets/{droplet_id}")
def _get(request: Request) -> Answer:
    return 200, {"droplet": public(droplet_of(request))}


@routes.add("DELETE", "/v2/droplets/{droplet_id}")
def _delete(request: Request) -> Answer:
    droplet = droplet_of(request)
    if droplet["locked"]:
        raise unprocessable("Droplet already has a pending event.")
    del request.account.tables["droplets"][str(droplet["id"])]
    # Its volumes stay, attached to nothing.
    for volume in request.account.all("volumes"):
        volume["droplet_ids"] = [one for one in volume["droplet_ids"] if one != droplet["id"]]
    return 204, None


def started(account: Account, droplet: Record, kind: str, **change: object) -> Record:
    """Start an action that changes a droplet; the droplet is locked until it is done."""
    number = account.number()
    action = {
        "id": number,
        "status": "in-progress",
        "type": kind,
        "started_at": account.clock.stamp(),
        "completed_at": None,
        "resource_id": droplet["id"],
        "resource_type": "droplet",
        "region": droplet["region"],
        "region_slug": droplet["region"]["slug"],
    }
    account.tables["actions"][str(number)] = action
    seconds = account.durations.droplet if kind == "create" else account.durations.action
    if change:
        droplet["locked"] = True
        account.schedule(seconds, "droplets", droplet["id"], locked=False, **change)
    account.schedule(
        seconds, "actions", number, status="completed", completed_at=account.clock.stamp(seconds)
    )
    return dict(action)


@routes.add("GET", "/v2/account")
def _account(request: Request) -> Answer:
    return 200, {
        "account": {
            "droplet_limit": request.account.quotas.droplets,
            "floating_ip_limit": 3,
            "volume_limit": 10,
            "email": "ops@example.com",
            "name": "Local DigitalOcean",
            "uuid": request.account.secrets.setdefault("owner", request.account.uuid()),
            "email_verified": True,
            "status": "active",
            "status_message": "",
        }
    }
