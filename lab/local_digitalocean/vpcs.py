"""VPCs."""

import re
from ipaddress import IPv4Network

from lab.local_digitalocean import catalogue
from lab.local_digitalocean.errors import CONFLICT, FORBIDDEN, ApiError, unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes
from lab.local_digitalocean.store import Account, Record

routes = Routes()

_VPC_NAME = re.compile(r"^[a-zA-Z0-9.-]+$")  # OpenAPI document, schema "vpc_create"
LARGEST_VPC, SMALLEST_VPC = 16, 28
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # RFC 1918, section 3

_MEMBERS = {"droplets": "droplet", "clusters": "dbaas", "load_balancers": "loadbalancer"}

routes.lists("/v2/vpcs", "vpcs", "vpcs")
routes.shows("/v2/vpcs/{vpc_id}", "vpcs", "vpc")


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
        # The first VPC of a region stays its default forever (API documentation, "Create a New VPC").
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
    """Return the resources in a VPC."""
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
