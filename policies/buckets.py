"""Buckets are private, keep old versions, remove unfinished uploads, and never hold raw video.

Raw video is never stored in Spaces: the architecture leaves it where it is recorded. An upload that was broken off is
billed until it is aborted. Exports hold personal data, so each of their rules ends the current and the earlier
versions: with versioning on, a rule without the second keeps everything.
"""

import re
from collections.abc import Iterator

from policies.reading import Block, ResourcePolicy, at_least_one, block, blocks, is_set, is_true

RAW_VIDEO = re.compile(r"(?i)video|footage|recording|stream|mp4|(?<![a-z])raw(?![a-z])")


def problems(bucket: Block) -> Iterator[str]:
    """What is wrong with one bucket."""
    name = bucket.get("name")
    if not is_set(name) or "${" in str(name):
        yield "write its name out"
    if bucket.get("acl") != "private":
        yield "set acl = private"
    if not is_true(block(bucket, "versioning").get("enabled")):
        yield "enable versioning"
    if bucket.get("force_destroy") not in (None, False):
        yield "remove force_destroy: it deletes every object with the bucket"
    rules = blocks(bucket, "lifecycle_rule")
    aborting = [rule for rule in rules if at_least_one(rule.get("abort_incomplete_multipart_upload_days"))]
    if not any(_is_on(rule) for rule in aborting):
        yield "add a lifecycle_rule with abort_incomplete_multipart_upload_days"
    for text in (name, *(rule.get("prefix") for rule in rules)):
        if RAW_VIDEO.search(str(text or "")):
            yield f"{text!r} suggests raw video, which is never stored here"
    if str(name).endswith("-exports"):
        yield from _of_exports([rule for rule in rules if rule.get("prefix")])


def _of_exports(rules: list[Block]) -> Iterator[str]:
    if not rules:
        yield "exports must expire: add a lifecycle_rule for each prefix"
    for rule in rules:
        prefix = rule.get("prefix")
        if not (_is_on(rule) and at_least_one(block(rule, "expiration").get("days"))):
            yield f"{prefix}: set expiration.days and enabled = true"
        if not at_least_one(block(rule, "noncurrent_version_expiration").get("days")):
            yield f"{prefix}: set noncurrent_version_expiration.days"


def _is_on(rule: Block) -> bool:
    return is_true(rule.get("enabled"))


check = ResourcePolicy(
    "CKV_P360_8",
    "Buckets are private, versioned, clean up, and hold no raw video; exports expire",
    ["digitalocean_spaces_bucket"],
    problems,
)
