"""A Spaces key opens buckets that are named, and never everything.

Droplets and services hold keys: what a key opens is open to anybody who breaks into one of them. Full access is for the
operators' own key, which no stack makes.
"""

from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, blocks, is_set


def problems(key: Block) -> Iterator[str]:
    """What is wrong with one key."""
    grants = blocks(key, "grant")
    if not grants:
        yield "add a grant: name the bucket that it opens"
    for grant in grants:
        if not is_set(grant.get("bucket")):
            yield "name the bucket of each grant"
        if grant.get("permission") not in ("read", "readwrite"):
            yield f"permission is {grant.get('permission')!r}; write read or readwrite"


check = ResourcePolicy(
    "CKV_P360_11", "Spaces keys open named buckets only", ["digitalocean_spaces_key"], problems
)
