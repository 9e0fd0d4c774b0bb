"""Data survives a mistaken edit.

With `prevent_destroy` a plan fails when an entry leaves a `for_each`, or when an argument changes that forces
replacement; without it the plan drops the data (docs/decisions/0003-tenants-are-data.md). Two things have no
protection: the databases and clusters of retired tenants, if a `moved` block moved each from a protected resource of
its kind; and a cluster that is restored from a backup for a drill and tagged `restore-drill`, which is deleted
afterwards.
"""

from policies.reading import Block, StackPolicy, block, is_true, items, lifecycle, local_keys, resources

DATA_BEARING = (
    "digitalocean_database_cluster",
    "digitalocean_database_db",
    "digitalocean_spaces_bucket",
    "digitalocean_volume",
    "digitalocean_domain",
)
RETIRABLE = ("digitalocean_database_cluster", "digitalocean_database_db")
DRILL = "restore-drill"


def verdicts(stack: Block) -> dict[str, list[str]]:
    """One verdict for each resource that holds data."""
    return {
        address: [] if _protected(body) else _unprotected(stack, address, body)
        for type_name in DATA_BEARING
        for address, body in resources(stack, type_name)
    }


def _protected(body: Block) -> bool:
    return is_true(lifecycle(body).get("prevent_destroy"))


def _unprotected(stack: Block, address: str, body: Block) -> list[str]:
    if block(body, "backup_restore") and _is_tagged(stack, body, DRILL):
        return []
    kind = address.partition(".")[0]
    if kind not in RETIRABLE:
        return ["set lifecycle.prevent_destroy = true"]
    kept = {a for a, other in resources(stack, kind) if _protected(other)}
    keys = local_keys(stack, body.get("for_each"))
    if keys is None:
        return ["set lifecycle.prevent_destroy = true"]
    moves = {move.get("to"): move.get("from", "") for move in _moves(stack)}
    return [
        f"{key}: set lifecycle.prevent_destroy = true; or move it here from a protected one"
        for key in keys
        if moves.get(f'{address}["{key}"]') not in {f'{source}["{key}"]' for source in kept}
    ]


def _is_tagged(stack: Block, body: Block, tag: str) -> bool:
    """The resource carries the tag, by its name or by a reference to the digitalocean_tag of that name."""
    references = {
        f"${{{address}.{attribute}}}"
        for address, tag_body in resources(stack, "digitalocean_tag")
        for attribute in ("name", "id")
        if tag_body.get("name") == tag
    }
    return any(item == tag or item in references for item in items(body.get("tags")))


def _moves(stack: Block) -> list[Block]:
    """`moved` as Terraform takes it (object or list), or numbered by `python -m policies` for checkov."""
    moved = stack.get("moved", [])
    if isinstance(moved, dict):
        return [moved] if "to" in moved else list(moved.values())
    return list(moved)


check = StackPolicy("CKV_P360_1", "Resources that hold data have lifecycle.prevent_destroy", verdicts)
