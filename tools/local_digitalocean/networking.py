"""VPCs, tags and SSH keys."""

import base64
import binascii
import hashlib
import re
from ipaddress import IPv4Network

from tools.local_digitalocean import catalogue
from tools.local_digitalocean.errors import CONFLICT, FORBIDDEN, ApiError, unprocessable
from tools.local_digitalocean.routes import Answer, Request, Routes
from tools.local_digitalocean.store import Account, Record

routes = Routes()

# OpenAPI document, schemas "vpc_create" and "tags".
_VPC_NAME = re.compile(r"^[a-zA-Z0-9.-]+$")
_TAG_NAME = re.compile(r"^[a-zA-Z0-9_:-]{1,255}$")
LARGEST_VPC, SMALLEST_VPC = 16, 28
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # RFC 1918, section 3

_MEMBERS = {"droplets": "droplet", "clusters": "dbaas", "load_balancers": "loadbalancer"}


@routes.add("GET", "/v2/vpcs")
def _list_vpcs(request: Request) -> Answer:
    return 200, request.page("vpcs", request.account.all("vpcs"))


@routes.add("POST", "/v2/vpcs")
def _create_vpc(request: Request) -> Answer:
    request.need("name", "region")
    account, body = request.account, request.body
    catalogue.region(body["region"])
    if not _VPC_NAME.match(body["name"]):
        raise unprocessable("Name can only contain alphanumeric characters, dashes, and periods")
    account.unique("vpcs", body["name"], CONFLICT, "a VPC with this name already exists in your account")
    network = _range(account, body)
    identifier = account.uuid()
    vpc = {
        "id": identifier,
        "urn": f"do:vpc:{identifier}",
        "name": body["name"],
        "description": body.get("description", ""),
        "region": body["region"],
        "ip_range": str(network),
        "created_at": account.clock.stamp(),
        # The first VPC of a region becomes its default, for good (API documentation, "Create a New VPC").
        "default": not any(other["region"] == body["region"] for other in account.all("vpcs")),
    }
    account.tables["vpcs"][identifier] = vpc
    return 201, {"vpc": vpc}


def _range(account: Account, body: Record) -> IPv4Network:
    taken = [IPv4Network(vpc["ip_range"]) for vpc in account.all("vpcs")]
    written = body.get("ip_range")
    if not written:
        candidates = IPv4Network("10.100.0.0/14").subnets(new_prefix=20)
        return next(one for one in candidates if not any(one.overlaps(other) for other in taken))
    try:
        network = IPv4Network(written)
    except ValueError:
        raise unprocessable("IP range is not a valid CIDR") from None
    if (
        not any(network.subnet_of(one) for one in PRIVATE)
        or not LARGEST_VPC <= network.prefixlen <= SMALLEST_VPC
    ):
        raise unprocessable("IP range must be a private range (RFC 1918) between /16 and /28")
    if catalogue.reserved(network, body["region"]):
        raise unprocessable("IP range overlaps with a range that DigitalOcean reserves")
    if any(network.overlaps(other) for other in taken):
        raise unprocessable("This range/size overlaps with another VPC network in your account")
    return network


@routes.add("GET", "/v2/vpcs/{vpc_id}")
def _get_vpc(request: Request) -> Answer:
    return 200, {"vpc": request.account.get("vpcs", request.parts["vpc_id"])}


@routes.add("PUT", "/v2/vpcs/{vpc_id}")
def _update_vpc(request: Request) -> Answer:
    request.need("name")
    vpc = request.account.get("vpcs", request.parts["vpc_id"])
    taken = "a VPC with this name already exists in your account"
    request.account.unique("vpcs", request.body["name"], CONFLICT, taken, but=vpc["id"])
    vpc.update({key: request.body[key] for key in ("name", "description") if key in request.body})
    return 200, {"vpc": vpc}


@routes.add("GET", "/v2/vpcs/{vpc_id}/members")
def _vpc_members(request: Request) -> Answer:
    vpc = request.account.get("vpcs", request.parts["vpc_id"])
    return 200, request.page("members", members(request.account, vpc["id"]))


def members(account: Account, vpc_id: str) -> list[Record]:
    """Return what lives in a VPC."""
    return [
        {"urn": f"do:{urn}:{record['id']}", "name": record["name"], "created_at": record["created_at"]}
        for kind, urn in _MEMBERS.items()
        for record in account.all(kind)
        if vpc_id in (record.get("vpc_uuid"), record.get("private_network_uuid"))
    ]


@routes.add("DELETE", "/v2/vpcs/{vpc_id}")
def _delete_vpc(request: Request) -> Answer:
    account = request.account
    vpc = account.get("vpcs", request.parts["vpc_id"])
    if vpc["default"]:
        raise ApiError(FORBIDDEN, "Can not delete default VPCs")
    if members(account, vpc["id"]):
        # The provider waits on 403 and 409 (its vpc/resource_vpc.go).
        raise ApiError(CONFLICT, "Can not delete VPC with members")
    del account.tables["vpcs"][vpc["id"]]
    return 204, None


def _tag(account: Account, name: str) -> Record:
    """Describe a tag with what it is on."""
    resources: Record = {"count": 0}
    for key, kind in {"droplets": "droplets", "databases": "clusters", "images": "", "volumes": "",
                      "volume_snapshots": ""}.items():  # fmt: skip
        count = sum(1 for _ in account.tagged(kind, name)) if kind else 0
        resources[key] = {"count": count}
        resources["count"] += count
    return {"name": name, "resources": resources}


@routes.add("GET", "/v2/tags")
def _list_tags(request: Request) -> Answer:
    account = request.account
    return 200, request.page("tags", [_tag(account, name) for name in account.tables["tags"]])


@routes.add("POST", "/v2/tags")
def _create_tag(request: Request) -> Answer:
    request.need("name")
    name = request.body["name"]
    if not _TAG_NAME.match(name):
        raise unprocessable("Name can only contain letters, numbers, colons, dashes, and underscores")
    request.account.tag_all([name])  # one that is there already is no error
    return 201, {"tag": _tag(request.account, name)}


@routes.add("GET", "/v2/tags/{tag_id}")
def _get_tag(request: Request) -> Answer:
    request.account.get("tags", request.parts["tag_id"])
    return 200, {"tag": _tag(request.account, request.parts["tag_id"])}


@routes.add("DELETE", "/v2/tags/{tag_id}")
def _delete_tag(request: Request) -> Answer:
    account, name = request.account, request.parts["tag_id"]
    account.get("tags", name)
    for kind in ("droplets", "clusters", "firewalls"):
        for record in account.tagged(kind, name):
            record["tags"] = [tag for tag in record["tags"] if tag != name]
    del account.tables["tags"][name]
    return 204, None


@routes.add("POST", "/v2/tags/{tag_id}/resources")
def _tag_resources(request: Request) -> Answer:
    return _retag(request, add=True)


@routes.add("DELETE", "/v2/tags/{tag_id}/resources")
def _untag_resources(request: Request) -> Answer:
    return _retag(request, add=False)


def _retag(request: Request, *, add: bool) -> Answer:
    account, name = request.account, request.parts["tag_id"]
    account.get("tags", name)
    request.need("resources")
    kinds = {"droplet": "droplets", "database": "clusters"}
    for resource in request.body["resources"]:
        kind = kinds.get(str(resource.get("resource_type")))
        if kind is None:
            raise unprocessable("resource_type is invalid")
        record = account.get(kind, resource.get("resource_id"))
        others = [tag for tag in record["tags"] if tag != name]
        record["tags"] = [*others, name] if add else others
    return 204, None


@routes.add("GET", "/v2/account/keys")
def _list_keys(request: Request) -> Answer:
    return 200, request.page("ssh_keys", request.account.all("ssh_keys"))


@routes.add("POST", "/v2/account/keys")
def _create_key(request: Request) -> Answer:
    request.need("name", "public_key")
    account = request.account
    fingerprint = _fingerprint(request.body["public_key"])
    if any(key["fingerprint"] == fingerprint for key in account.all("ssh_keys")):
        raise unprocessable("SSH Key is already in use on your account")
    number = account.number()
    key = {
        "id": number,
        "fingerprint": fingerprint,
        "public_key": request.body["public_key"],
        "name": request.body["name"],
    }
    account.tables["ssh_keys"][str(number)] = key
    return 201, {"ssh_key": key}


def _fingerprint(public_key: str) -> str:
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        raise unprocessable("Key invalid, key should be of the format `type key [comment]`") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def ssh_key(account: Account, identifier: object) -> Record | None:
    """Return a key by its number or its fingerprint."""
    for key in account.all("ssh_keys"):
        if str(identifier) in (str(key["id"]), key["fingerprint"]):
            return key
    return None


def _key(request: Request) -> Record:
    key = ssh_key(request.account, request.parts["ssh_key_identifier"])
    if key is None:
        return request.account.get("ssh_keys", "")
    return key


@routes.add("GET", "/v2/account/keys/{ssh_key_identifier}")
def _get_key(request: Request) -> Answer:
    return 200, {"ssh_key": _key(request)}


@routes.add("PUT", "/v2/account/keys/{ssh_key_identifier}")
def _update_key(request: Request) -> Answer:
    key = _key(request)
    key["name"] = request.body.get("name", key["name"])
    return 200, {"ssh_key": key}


@routes.add("DELETE", "/v2/account/keys/{ssh_key_identifier}")
def _delete_key(request: Request) -> Answer:
    del request.account.tables["ssh_keys"][str(_key(request)["id"])]
    return 204, None
