"""A tenant's life in Terraform's terms: which databases, users and objects it has, and what guards them.

                    status: active        suspended      retired        entry removed
    database        kept                  kept           retired        dropped
    users           one a generation      none           none
    credentials     published             withdrawn      withdrawn
    directory       says so               says so        says so        gone
    its host        serves                503            410

A *kept* database stands in a resource with `prevent_destroy`, a *retired* one in a resource without. A `moved` block
takes it from one to the other and back, so that only the removal of the entry plans its loss, and that is no
accident: an entry can only be removed after it was retired.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_TENANTS_OF_A_CELL = 250
"""Terraform's plan is quadratic in the instances of a `for_each`, and DigitalOcean counts requests
(docs/decisions/0009-cells.md)."""


class Status(StrEnum):
    """Whether a tenant is served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


class Tier(StrEnum):
    """Where the database is that serves a tenant."""

    SHARED = "shared"
    """In its cell's cluster."""
    DEDICATED = "dedicated"
    """In a cluster of its own."""


class Guard(StrEnum):
    """What stands between a database and a mistaken edit."""

    KEPT = "kept"
    """`prevent_destroy`: no plan may drop it."""
    RETIRED = "retired"
    """Nothing: it is dropped when the line that declares it is removed."""


CLOSED_STATUS = {Status.SUSPENDED: 503, Status.RETIRED: 410}
"""What nginx answers for a host that is closed: to come back, or not to (RFC 9110, sections 15.6.4 and 15.5.11)."""


@dataclass(frozen=True)
class Homes:
    """Where a tenant's data is. In the middle of a move it is in both places.

    Attributes:
        shared: the database in its cell's cluster; None: there is none.
        dedicated: the cluster of its own with its database; None: there is none.
    """

    shared: Guard | None
    dedicated: Guard | None
