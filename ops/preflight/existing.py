"""What a plan would make although it exists at DigitalOcean: an interrupted deploy, or a person, made it before.

Most names are unique in an account, so such a plan fails half way, and every later one fails at the same place.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from model.addresses import (
    BUCKET,
    CERTIFICATE,
    CLUSTER,
    DATABASE,
    DROPLET,
    FIREWALL,
    LOAD_BALANCER,
    USER,
    ZONE,
)
from ops.api_client import ApiError, Client
from ops.change import Change
from ops.preflight.spaces import Key, SpacesError


class Way(StrEnum):
    """How it gets into the state."""

    IMPORT = "import"
    UNTAINT = "untaint"
    BY_HAND = "by hand"


@dataclass(frozen=True)
class Existing:
    """Something that exists and that a plan would make.

    Attributes:
        address: where the plan would make it.
        what: in words, such as "certificate staging-3fa9c2".
        way: how it gets into the state.
        identifier: what `terraform import` takes.
        remedy: what a person has to do, where no command does it.
    """

    address: str
    what: str
    way: Way
    identifier: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _List:
    """A list of the API with unique names.

    Attributes:
        path: of the request.
        key: under which the answer has the entries.
        identifier: the entry's field that `terraform import` takes (the provider's documentation of each resource).
        name: the field that tells entries apart, of the entry and of the resource.
    """

    path: str
    key: str
    identifier: str
    name: str = "name"


_LISTS: Mapping[str, _List] = {
    CERTIFICATE.kind: _List("/v2/certificates", "certificates", "name"),
    CLUSTER: _List("/v2/databases", "databases", "id"),
    FIREWALL: _List("/v2/firewalls", "firewalls", "id"),
    LOAD_BALANCER: _List("/v2/load_balancers", "load_balancers", "id"),
    DROPLET: _List("/v2/droplets", "droplets", "id"),
    ZONE: _List("/v2/domains", "domains", "name"),
    "digitalocean_project": _List("/v2/projects", "projects", "id"),
    "digitalocean_ssh_key": _List("/v2/account/keys", "ssh_keys", "id"),
    "digitalocean_vpc": _List("/v2/vpcs", "vpcs", "id"),
    "digitalocean_volume": _List("/v2/volumes", "volumes", "id"),
    # DigitalOcean makes a second one of the same name; both would tell.
    "digitalocean_uptime_check": _List("/v2/uptime/checks", "checks", "id"),
    "digitalocean_monitor_alert": _List("/v2/monitoring/alerts", "policies", "uuid", "description"),
}


@dataclass(frozen=True)
class _Inside:
    """A list of what is inside something else; `terraform import` takes both, with a comma between.

    Attributes:
        outer: the resource's field with what it is inside of.
        path: of the request, with a place for that.
        key: under which the answer has the entries.
        identifier: the entry's field for the second half.
    """

    outer: str
    path: str
    key: str
    identifier: str


_INSIDE: Mapping[str, _Inside] = {
    DATABASE: _Inside("cluster_id", "/v2/databases/{}/dbs", "dbs", "name"),
    USER: _Inside("cluster_id", "/v2/databases/{}/users", "users", "name"),
    "digitalocean_uptime_alert": _Inside("check_id", "/v2/uptime/checks/{}/alerts", "alerts", "id"),
}

# Both can be imported, and the next plan would replace them: the provider never reads `network` of a load balancer
# back, nor a droplet's user data, and a change of either forces a replacement (its loadbalancer/
# resource_loadbalancer.go, droplet/resource_droplet.go). What such a plan does to what still serves was not tried, so
# a person decides.
_NOT_IMPORTED = frozenset({LOAD_BALANCER, DROPLET})
_STOPS = {LOAD_BALANCER: "nothing answers", DROPLET: "its services stop"}


def find(changes: Iterable[Change], api: Client, spaces: Key | None) -> Iterator[Existing]:
    """Yield what exists of what a plan would make; of a kind that cannot be asked for, nothing.

    Args:
        changes: the plan's.
        api: DigitalOcean's.
        spaces: the provider's key; None does not look for buckets.
    """

    @cache
    def listed(path: str, key: str) -> list[dict[str, Any]]:
        try:
            return api.all(path, key)
        except ApiError:
            return []

    @cache
    def buckets() -> list[str]:
        try:
            return spaces.buckets() if spaces else []
        except SpacesError:
            return []

    for change in changes:
        if not change.creates or change.deposed:
            continue
        if change.deletes:
            yield from _tainted(change, listed)
        elif change.kind in _LISTS:
            yield from _named(change, listed)
        elif change.kind in _INSIDE:
            yield from _inside(change, listed)
        elif change.kind == BUCKET and change.after.get("name") in buckets():
            yield _imported(change, f"{change.after['region']},{change.after['name']}")
        elif change.kind == "digitalocean_record" and isinstance(change.after.get("domain"), str):
            yield from _record(change, listed)


Listed = Any
"""Returns the entries of a list, asked once."""


def _tainted(change: Change, listed: Listed) -> Iterator[Existing]:
    """Yield a certificate that is to be replaced by one of the same name, which DigitalOcean refuses."""
    name = change.after.get("name")
    if change.kind != CERTIFICATE.kind or change.before.get("name") != name:
        return
    state = next(
        (one["state"] for one in listed("/v2/certificates", "certificates") if one["name"] == name), ""
    )
    what = _what(change)
    if state == "verified":
        yield Existing(change.address, what, Way.UNTAINT)
    elif state == "pending":
        yield Existing(
            change.address,
            what,
            Way.BY_HAND,
            remedy="Let's Encrypt is still at work: wait some minutes and plan again",
        )
    elif state:
        yield Existing(
            change.address,
            what,
            Way.BY_HAND,
            remedy="Let's Encrypt refused it: check that the zone is delegated to DigitalOcean (README.md, First "
            "deploy), delete the certificate in the control panel under Networking, Certificates, and plan again",
        )


def _named(change: Change, listed: Listed) -> Iterator[Existing]:
    found = _LISTS[change.kind]
    for one in listed(found.path, found.key):
        if change.kind == "digitalocean_ssh_key":
            if _key_of(one["public_key"]) == _key_of(str(change.after.get("public_key"))):
                yield _ssh_key(change, one)
        elif one[found.name] == change.after.get(found.name):
            if change.kind in _NOT_IMPORTED:
                remedy = (
                    f"Terraform cannot take it over. If a first deploy was interrupted, it serves nobody: delete it in "
                    f"the control panel. If the state was lost, it serves: delete it only when docs/runbooks/lost.md, "
                    f'"A state", says so, because {_STOPS[change.kind]} until an apply has made another; id {one["id"]}'
                )
                yield Existing(change.address, _what(change), Way.BY_HAND, remedy=remedy)
            else:
                yield _imported(change, str(one[found.identifier]))


def _inside(change: Change, listed: Listed) -> Iterator[Existing]:
    found = _INSIDE[change.kind]
    outer = change.after.get(found.outer)
    # Known once what it is inside of is in the state.
    for one in listed(found.path.format(outer), found.key) if isinstance(outer, str) else ():
        if one["name"] == change.after.get("name"):
            yield _imported(change, f"{outer},{one[found.identifier]}")


def _ssh_key(change: Change, key: Mapping[str, Any]) -> Existing:
    if key["name"] == change.after.get("name"):
        return _imported(change, str(key["id"]))
    return Existing(
        change.address,
        _what(change),
        Way.BY_HAND,
        remedy=f"the account has this public key already, as {key['name']!r}, and DigitalOcean takes each only once. "
        "If another environment made it, use another key pair here; if a person added it, delete it in the control "
        "panel under Settings, Security: droplets keep the keys that they were made with",
    )


def _key_of(line: str) -> list[str]:
    """Return a public key without its comment."""
    return line.split()[:2]


def _record(change: Change, listed: Listed) -> Iterator[Existing]:
    after = change.after
    for one in listed(f"/v2/domains/{after['domain']}/records", "domain_records"):
        same = (one["type"], one["name"], one.get("tag")) == (after["type"], after["name"], after.get("tag"))
        value = after.get("value")
        if same and (value is None or str(one["data"]).rstrip(".") == value.rstrip(".")):
            yield _imported(change, f"{after['domain']},{one['id']}")


def _imported(change: Change, identifier: str) -> Existing:
    return Existing(change.address, _what(change), Way.IMPORT, identifier)


def _what(change: Change) -> str:
    kind = change.short_kind.replace("_", " ").replace("ssh", "SSH").replace("vpc", "VPC")
    name = str(change.after.get("name") or "")
    if change.short_kind == "record":
        name = f"{change.after['type']} {name}"
    return f"{kind} {name}".strip()
