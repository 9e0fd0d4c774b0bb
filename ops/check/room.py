"""Room: the limits of the environment, and of the account that it is in."""

from collections.abc import Iterator

from model.capacity import WARN_AT, uses
from model.environment import Group
from ops.check.finding import Finding, bad, good, soon
from ops.check.look import Look

USUAL_CLUSTERS = 10
"""Database clusters of an account, until DigitalOcean allows more (its documentation, "PostgreSQL Limits")."""

_MORE = "Ask DigitalOcean for more (control panel, Resource Limits), or let the environment have less"


def capacity(look: Look) -> Iterator[Finding]:
    """What the environment asks of each limit."""
    found = list(uses(look.environment.file, look.environment.tenants))
    for use in found:
        said = f"{use.what}: {use.used:,} of {use.limit:,}"
        if use.used > use.limit:
            yield bad(said, use.remedy)
        elif use.used > WARN_AT * use.limit:
            yield soon(said, use.remedy)
    yield good(f"{len(found)} limits, none used to more than {WARN_AT * 100:.0f} percent")


def _most(group: Group) -> int:
    return group.autoscale.max if group.autoscale else group.replicas or 1


def account(look: Look) -> Iterator[Finding]:
    """The account is in good standing, and has room for a replacement of the largest group."""
    shown = look.get("/v2/account")["account"]
    # OpenAPI document, schema "account": active, warning or locked.
    if (status := shown.get("status")) not in {None, "active"}:
        said, todo = (
            f"the account is {status}: {shown.get('status_message')}",
            "Write to DigitalOcean's support",
        )
        yield soon(said, todo) if status == "warning" else bad(said, todo)
    if shown.get("email_verified") is False:
        yield bad("the account's e-mail address is not verified", "Verify it in the control panel")
    file = look.environment.file
    droplets = len(look.all("/v2/droplets", "droplets"))
    limits = [one for one in (shown.get("droplet_limit"), file.account.droplets) if one]
    largest = max(1, *(_most(group) for group in file.groups.values()))
    if limits:
        room = min(limits) - droplets
        said = f"droplets: {droplets} of {min(limits)}"
        if room < 0:
            yield bad(said, _MORE)
        elif room < largest:
            yield bad(
                f"{said}: no room to replace the {largest} of the largest group one beside the other", _MORE
            )
        else:
            yield good(said)
    clusters, limit = len(look.clusters), file.account.clusters or USUAL_CLUSTERS
    if clusters > limit:
        yield bad(f"database clusters: {clusters} of {limit}", _MORE)
    elif clusters == limit:
        yield soon(f"database clusters: {clusters} of {limit}: none can be restored beside the others", _MORE)
    else:
        yield good(f"database clusters: {clusters} of {limit}")
    balancers = len(look.balancers)
    if file.account.load_balancers and balancers > file.account.load_balancers:
        yield bad(f"load balancers: {balancers} of {file.account.load_balancers}", _MORE)
