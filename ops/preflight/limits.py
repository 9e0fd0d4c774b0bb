"""Whether the account may have what a plan makes, together with everything that it has already."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from model.addresses import BUCKET, CLUSTER, DROPLET, LOAD_BALANCER, POOL
from model.environment import Account
from ops import waves
from ops.api_client import ApiError, Client
from ops.plan_json import Plan
from ops.preflight.finding import Checked
from ops.preflight.spaces import Key, SpacesError

_MORE = "Ask DigitalOcean for more (control panel, Resource Limits), or let the environment have less"


@dataclass(frozen=True)
class _Counted:
    """A kind of which an account may have so many.

    Attributes:
        name: of the limit in the operators' file.
        what: in words.
        path: of the API's list; empty for buckets, which Spaces lists.
        key: under which the answer has the entries.
    """

    name: str
    what: str
    path: str = ""
    key: str = ""


_KINDS: Mapping[str, _Counted] = {
    LOAD_BALANCER: _Counted("load_balancers", "load balancers", "/v2/load_balancers", "load_balancers"),
    CLUSTER: _Counted("clusters", "database clusters", "/v2/databases", "databases"),
    BUCKET: _Counted("buckets", "buckets"),
    "digitalocean_spaces_key": _Counted("spaces_keys", "Spaces keys", "/v2/spaces/keys", "keys"),
    "digitalocean_volume": _Counted("volumes", "volumes", "/v2/volumes", "volumes"),
}


def check(plan: Plan, account: Account, api: Client, spaces: Key | None) -> Checked:
    """Compare the most that there is during an apply with the account's limits.

    Args:
        plan: of one stack.
        account: the limits that the operators' file states.
        api: DigitalOcean's.
        spaces: the provider's key; None: buckets are not counted.
    """
    problems, notes = list[str](), list[str]()
    for found in (*_droplets(plan, account, api), *_others(plan, account, api, spaces)):
        (notes if isinstance(found, _Unknown) else problems).append(str(found))
    return Checked(tuple(problems), tuple(notes))


class _Unknown(str):
    """Why something could not be counted."""


def most_droplets(plan: Plan) -> int:
    """Return how many droplets more than now there are at the most during an apply (ops/waves.py)."""
    added = Counter(
        "pool" if change.kind == POOL else "droplet"
        for change in plan.changes
        if change.kind in {DROPLET, POOL} and change.creates and not change.deletes
    )["droplet"] + sum(_pool(change.before, change.after) for change in plan.changes if change.kind == POOL)
    found = waves.waves(plan)
    # The last wave comes with everything else.
    return max([0, *(wave.droplets for wave in found[:-1]), added + (found[-1].droplets if found else 0)])


def _pool(before: Mapping[str, object], after: Mapping[str, object]) -> int:
    return max(0, _most(after) - _most(before))


def _most(pool: Mapping[str, object]) -> int:
    config = pool.get("config")
    first = config[0] if isinstance(config, list) and config else {}
    return int(first.get("max_instances") or 0) if isinstance(first, Mapping) else 0


def _droplets(plan: Plan, account: Account, api: Client) -> Iterator[str]:
    more = most_droplets(plan)
    if not more:
        return
    try:
        allowed = api.get("/v2/account")["account"].get("droplet_limit")
        now = api.count("/v2/droplets", "droplets")
    except ApiError as error:
        yield _Unknown(f"{plan.stack}: the account's droplets could not be counted: {error}")
        return
    limits = [limit for limit in (allowed, account.droplets) if limit]
    if limits and now + more > min(limits):
        found = waves.waves(plan)
        why = f"; the largest group has {max(wave.droplets for wave in found)}" if found else ""
        yield (
            f"{plan.stack}: the account may have {min(limits)} droplets and has {now}; this apply needs {more} more at "
            f"a time{why}. {_MORE}"
        )


def _others(plan: Plan, account: Account, api: Client, spaces: Key | None) -> Iterator[str]:
    made = Counter(change.kind for change in plan.changes if change.actions == ("create",))
    for kind, counted in _KINDS.items():
        limit = getattr(account, counted.name)
        if not made[kind] or not limit:
            continue
        try:
            if counted.path:
                now = api.count(counted.path, counted.key)
            elif spaces is not None:
                now = len(spaces.buckets())
            else:
                continue
        except (ApiError, SpacesError) as error:
            yield _Unknown(f"{plan.stack}: the account's {counted.what} could not be counted: {error}")
            continue
        if now + made[kind] > limit:
            yield (
                f"{plan.stack}: the account may have {limit} {counted.what} and has {now}; this apply makes "
                f"{made[kind]} more. {_MORE}"
            )
