"""Data survives a mistaken edit.

With `prevent_destroy` a plan fails when an entry leaves a `for_each`, or when an argument changes that forces
replacement; without it the plan drops the data. Two things need no protection: databases and clusters that are
retired, if a `moved` block brought each from a protected resource of its kind; and a cluster that is restored from a
backup for a drill and deleted afterwards, by its name, its tag and its project (policies/drill.py).
"""

from collections.abc import Iterator

from policies.drill import is_drill
from policies.policy import WRITTEN, Section, Severity, each
from policies.stack import Resource, Stack
from policies.values import is_true

RETIRABLE = ("digitalocean_database_cluster", "digitalocean_database_db")
DATA_BEARING = " ".join(
    (*RETIRABLE, "digitalocean_spaces_bucket", "digitalocean_volume", "digitalocean_domain")
)
PROTECT = "set lifecycle.prevent_destroy = true"


@each(
    DATA_BEARING, 1, Severity.CRITICAL, "What holds data cannot be destroyed by an edit",
    "Set lifecycle.prevent_destroy = true. To retire a database, move it to an unprotected resource first.",
    section=Section.BACKUP, shapes=WRITTEN,
)  # fmt: skip
def protected(resource: Resource, stack: Stack) -> Iterator[str]:
    """It has prevent_destroy, or was moved out of what has it."""
    if _is_protected(resource) or is_drill(resource, stack):
        return
    if resource.type not in RETIRABLE or (resource.key is None and not resource.is_empty):
        yield PROTECT
    elif resource.key is not None and not _was_moved(resource, stack):
        yield f"{resource.key}: {PROTECT}; or move it here from a protected one"


def _is_protected(resource: Resource) -> bool:
    return is_true(resource.lifecycle.get("prevent_destroy"))


def _was_moved(resource: Resource, stack: Stack) -> bool:
    kept = {other.block_address for other in stack.of(resource.type) if _is_protected(other)}
    sources = {move.get("from") for move in stack.moves if move.get("to") == resource.address}
    return bool(sources & {f'{address}["{resource.key}"]' for address in kept})
