"""Mutations that delete no data: doors opened, ways back closed, tenants cut off."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lab.plans.environment import ENVIRONMENTS, GRACE, situation
from lab.plans.planner import Situation
from lab.plans.resources import Resource
from model import addresses
from model.tenancy import Guard
from ops.guard.finding import Rule
from tests.ops.guard.cases import Corpus, Lost, edited, unchanged, without
from tests.ops.guard.lost_resources import EVERYBODY, holders

CORPUS = Corpus()

NOBODY: frozenset[str] = frozenset()
# By a short name: the firewall, its cluster, and whose data is behind it.
FIREWALLS = {
    "postgres": (str(addresses.postgres_firewall("shared")), "pg-shared", EVERYBODY),
    "valkey": (str(addresses.VALKEY_FIREWALL), "valkey", NOBODY),
}
BUCKETS = ("exports bucket", "directory bucket", "credentials bucket", "config bucket of worker")
EXPIRE_ALL = {
    "id": "all",
    "prefix": "",
    "enabled": True,
    "expiration": [{"days": 30, "date": ""}],
    "noncurrent_version_expiration": [],
}
KEYS = {
    "credentials of a tenant": (addresses.TENANT_CREDENTIALS.instance(GRACE), frozenset({GRACE})),
    "release of a group": (str(addresses.config_object("worker", "release.json")), NOBODY),
}


def _firewall(name: str, which: str, what: str) -> Lost:
    address, cluster, tenants = FIREWALLS[which]
    it = unchanged(ENVIRONMENTS[name])
    if what == "emptied":
        edited(it, address, rule=[])
    elif what in {"removed", "forgotten"}:
        without(it, address)
        it.removed |= {address} if what == "forgotten" else set()
    elif what == "tainted":
        it.tainted.add(address)
    elif what == "replaced by request":
        it.replaced.add(address)
    elif what == "of another cluster":
        edited(it, address, cluster_id="another")
    else:
        rules = it.wanted[address].attributes["rule"]
        edited(it, address, rule=[*rules, {"type": "ip_addr", "value": what.removeprefix("open to ")}])
    return Lost({name: it}, Rule.PUBLIC_DATABASE, (f"cluster {name}-{cluster}",), tenants)


FIREWALL_WAYS = (
    "emptied",
    "removed",
    "forgotten",
    "tainted",
    "replaced by request",
    "of another cluster",
    "open to 0.0.0.0/0",
    "open to 128.0.0.0/1",
    "open to ::/0",
)


def _no_firewall(name: str) -> Lost:
    """A cluster that is new comes without one."""
    own = ENVIRONMENTS[name].tenant(GRACE, own_cluster="db-s-2vcpu-4gb")
    it = situation(ENVIRONMENTS[name], own)
    without(it, addresses.DEDICATED[Guard.KEPT].firewall.instance(GRACE))
    return Lost(
        {name: it},
        Rule.PUBLIC_DATABASE,
        (f"new clusters in {name}", "the plan makes 1 cluster and 0 firewalls"),
        frozenset({GRACE}),
    )


def _droplets(name: str, what: str) -> Lost:
    address = str(addresses.firewall("worker"))
    it = unchanged(ENVIRONMENTS[name])
    rules = it.wanted[address].attributes["inbound_rule"]
    if what == "removed":
        without(it, address)
    elif what == "forgotten":
        without(it, address).removed.add(address)
    elif what == "tainted":
        it.tainted.add(address)
    elif what == "without its tag":
        edited(it, address, tags=[])
    else:
        _, port, _, source = what.split(" ")
        opened = {"protocol": "tcp", "port_range": port, "source_addresses": ["198.51.100.7/32", source]}
        edited(it, address, inbound_rule=[*rules, opened])
    return Lost({name: it}, Rule.OPEN_DROPLETS, (f"droplets behind firewall {name}-worker",), NOBODY)


DROPLET_WAYS = (
    "removed",
    "forgotten",
    "tainted",
    "without its tag",
    "opens 22 to 0.0.0.0/0",
    "opens 22 to ::/0",
    "opens 443 to 0.0.0.0/0",
    "opens 8080 to 0.0.0.0/1",
    "opens 1-65535 to 0.0.0.0/0",
)


def _bucket(name: str, which: str, rule: Rule, attributes: Mapping[str, Any]) -> Lost:
    address, said, _ = holders(ENVIRONMENTS[name])[which]
    return Lost({name: edited(unchanged(ENVIRONMENTS[name]), address, **attributes)}, rule, (said,), NOBODY)


BUCKET_WAYS: Mapping[str, tuple[Rule, Mapping[str, Any]]] = {
    "public to read": (Rule.PUBLIC_BUCKET, {"acl": "public-read"}),
    "without versions": (Rule.NO_WAY_BACK, {"versioning": [{"enabled": False}]}),
    "versioning left out": (Rule.NO_WAY_BACK, {"versioning": []}),
    "to be deleted with its objects": (Rule.NO_WAY_BACK, {"force_destroy": True}),
    "another name": (Rule.NO_WAY_BACK, {"name": "another"}),
    "everything expires": (Rule.EXPIRY, {"lifecycle_rule": [EXPIRE_ALL]}),
}


def _public_object(name: str, which: str) -> Lost:
    address, tenants = KEYS[which]
    it = edited(unchanged(ENVIRONMENTS[name]), address, acl="public-read")
    key = it.wanted[address].attributes["key"]
    return Lost({name: it}, Rule.PUBLIC_BUCKET, (f"object {key} in presence360-{name}-",), tenants)


def _policy(name: str, policy: str) -> Lost:
    it = unchanged(ENVIRONMENTS[name])
    one = Resource(
        "digitalocean_spaces_bucket_policy",
        "policy",
        {"bucket": f"presence360-{name}-exports", "policy": policy},
    )
    it.wanted[one.address] = one
    return Lost({name: it}, Rule.PUBLIC_BUCKET, ("bucket policy",), NOBODY)


def _cluster(name: str, which: str, rule: Rule, attributes: Mapping[str, Any]) -> Lost:
    address, said, tenants = holders(ENVIRONMENTS[name])[which]
    return Lost({name: edited(unchanged(ENVIRONMENTS[name]), address, **attributes)}, rule, (said,), tenants)


def _persistence(name: str) -> Lost:
    it = unchanged(ENVIRONMENTS[name])
    edited(it, str(addresses.VALKEY_CONFIG), persistence="off")
    return Lost({name: it}, Rule.NO_WAY_BACK, (f"cluster {name}-valkey",), NOBODY)


def _locked_out(name: str, what: str) -> Lost:
    environment = ENVIRONMENTS[name]
    it = unchanged(environment)
    address = {
        "last user": addresses.TENANT_USERS.instance(f"{GRACE}_g1"),
        "credentials": addresses.TENANT_CREDENTIALS.instance(GRACE),
    }[what]
    without(it, address)
    return Lost(
        {name: it}, Rule.LOCKED_OUT, ("Grace Chapel (grace): its access to its database",), frozenset({GRACE})
    )


def _suspended_nowhere(name: str) -> Lost:
    """Users and credentials go as in a suspension, and the registry still says active."""
    environment = ENVIRONMENTS[name]
    it: Situation = situation(environment, environment.tenant(GRACE, status="suspended"))
    registry = next(address for address in it.wanted if "registry_tenant" in address and GRACE in address)
    it.wanted[registry] = replace(environment.stack()[registry])
    it.tenants_wanted = environment.output()
    return Lost(
        {name: it}, Rule.LOCKED_OUT, ("Grace Chapel (grace): its access to its database",), frozenset({GRACE})
    )


def _control_plane_user(name: str) -> Lost:
    it = without(unchanged(ENVIRONMENTS[name]), str(addresses.CONTROL_PLANE_USER))
    return Lost({name: it}, Rule.LOCKED_OUT, (f"database control_plane in cluster {name}-pg-shared",), NOBODY)


ANYBODY = '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]}'

for _name in ENVIRONMENTS:
    for _which in FIREWALLS:
        for _way in FIREWALL_WAYS:
            CORPUS.add(f"{_name}: firewall of {_which} {_way}", partial(_firewall, _name, _which, _way))
    CORPUS.add(f"{_name}: new cluster without firewall", partial(_no_firewall, _name))
    for _way in DROPLET_WAYS:
        CORPUS.add(f"{_name}: firewall of droplets {_way}", partial(_droplets, _name, _way))
    for _which in BUCKETS:
        for _way, (_rule, _attributes) in BUCKET_WAYS.items():
            CORPUS.add(f"{_name}: {_which}: {_way}", partial(_bucket, _name, _which, _rule, _attributes))
    for _which in KEYS:
        CORPUS.add(f"{_name}: {_which} public to read", partial(_public_object, _name, _which))
    CORPUS.add(f"{_name}: bucket policy for everybody", partial(_policy, _name, ANYBODY))
    CORPUS.add(f"{_name}: bucket policy that is no JSON", partial(_policy, _name, "{"))
    for _which in ("postgres cluster", "valkey cluster"):
        CORPUS.add(
            f"{_name}: {_which}: another region",
            partial(_cluster, _name, _which, Rule.CLUSTER_CHANGE, {"region": "ams3"}),
        )
    CORPUS.add(
        f"{_name}: valkey drops queued work",
        partial(_cluster, _name, "valkey cluster", Rule.CLUSTER_CHANGE, {"eviction_policy": "allkeys_lru"}),
    )
    CORPUS.add(f"{_name}: valkey writes nothing to disk", partial(_persistence, _name))
    for _way in ("last user", "credentials"):
        CORPUS.add(f"{_name}: {_way} of an active tenant removed", partial(_locked_out, _name, _way))
    CORPUS.add(f"{_name}: suspended, and the registry does not know", partial(_suspended_nowhere, _name))
    CORPUS.add(f"{_name}: user of the control plane removed", partial(_control_plane_user, _name))
