"""Buckets are private, keep old versions, clean up, and open to named keys and pages only."""

import json
import re
from collections.abc import Iterator

from policies.policy import WRITTEN, Section, Severity, each, whole_stack
from policies.stack import Resource, Stack
from policies.values import Block, at_least_one, block, blocks, is_literal, is_set, is_true, items

BUCKET, KEY, OBJECT = (
    "digitalocean_spaces_bucket",
    "digitalocean_spaces_key",
    "digitalocean_spaces_bucket_object",
)
# One name, or all below one: a wildcard stands for a whole label, and what follows is a domain of ours.
ORIGIN = re.compile(r"https://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+")
HARMLESS = {"GET", "HEAD", "POST", "PUT"}


def rules(bucket: Resource) -> list[Block]:
    """Return the lifecycle rules of a bucket."""
    return blocks(bucket.body, "lifecycle_rule")


def is_on(rule: Block) -> bool:
    """Whether a lifecycle rule is enabled."""
    return is_true(rule.get("enabled"))


@each(
    BUCKET, 8, Severity.CRITICAL, "Buckets are private",
    "Set acl = private; give access by a key for the bucket, or by signed addresses.",
    section=Section.DATA,
)  # fmt: skip
def private(bucket: Resource) -> Iterator[str]:
    """Nobody lists or reads it without a key."""
    if bucket["acl"] != "private":
        yield "set acl = private"


@each(
    BUCKET, 53, Severity.HIGH, "Buckets keep old versions",
    "Set versioning.enabled = true: an object that is overwritten or deleted by mistake comes back.",
    section=Section.BACKUP,
)  # fmt: skip
def versioned(bucket: Resource) -> Iterator[str]:
    """A deletion can be undone."""
    if not is_true(block(bucket.body, "versioning").get("enabled")):
        yield "enable versioning"


@each(
    BUCKET, 54, Severity.LOW, "Buckets remove unfinished uploads",
    "Add a lifecycle_rule with abort_incomplete_multipart_upload_days: parts of a broken upload are billed for ever.",
    section=Section.BACKUP,
)  # fmt: skip
def uploads_end(bucket: Resource) -> Iterator[str]:
    """What nobody can see is not billed."""
    aborting = [
        rule for rule in rules(bucket) if at_least_one(rule.get("abort_incomplete_multipart_upload_days"))
    ]
    if not any(map(is_on, aborting)):
        yield "add a lifecycle_rule with abort_incomplete_multipart_upload_days"


@each(
    BUCKET, 55, Severity.MEDIUM, "Old versions in buckets expire",
    "Add noncurrent_version_expiration to a lifecycle_rule: with versioning, nothing is ever gone without it.",
    section=Section.BACKUP,
)  # fmt: skip
def old_versions_end(bucket: Resource) -> Iterator[str]:
    """What was deleted is gone after some time."""
    ending = [
        rule
        for rule in rules(bucket)
        if at_least_one(block(rule, "noncurrent_version_expiration").get("days"))
    ]
    if not any(map(is_on, ending)):
        yield "add a lifecycle_rule with noncurrent_version_expiration.days"


@each(
    BUCKET, 56, Severity.CRITICAL, "Buckets with objects in them cannot be destroyed",
    "Remove force_destroy: it deletes every object, with all versions, before the bucket.",
    section=Section.BACKUP,
)  # fmt: skip
def no_force(bucket: Resource) -> Iterator[str]:
    """The API refuses to delete a bucket that is not empty."""
    if bucket["force_destroy"] not in (None, False):
        yield "remove force_destroy: it deletes every object with the bucket"


@each(
    BUCKET, 57, Severity.MEDIUM, "Buckets have a name and a region that are written out",
    "Write name and region: without a region the bucket is in nyc3, and a change of it replaces the bucket.",
    section=Section.DATA,
)  # fmt: skip
def named(bucket: Resource) -> Iterator[str]:
    """It is where the environment is."""
    if not is_literal(bucket["name"]):
        yield "write its name out"
    if not is_literal(bucket["region"]):
        yield "write its region out"


@whole_stack(
    58, Severity.CRITICAL, "No bucket policy lets everyone in",
    "Name principals in a digitalocean_spaces_bucket_policy, or remove it.",
    section=Section.DATA,
)  # fmt: skip
def no_public_policy(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """A policy can open what the acl closes."""
    policies = stack.of("digitalocean_spaces_bucket_policy")
    for bucket in stack.of(BUCKET):
        own = [
            one
            for one in policies
            if bucket in stack.follow(one["bucket"]) or one["bucket"] == bucket["name"]
        ]
        yield bucket, [problem for one in own for problem in _of_policy(one["policy"])]


def _of_policy(text: object) -> Iterator[str]:
    try:
        statements = json.loads(str(text)).get("Statement", [])
    except (ValueError, AttributeError):
        yield "its digitalocean_spaces_bucket_policy is an expression, which cannot be checked"
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal if isinstance(principal, str | list) else (principal or {"AWS": "*"}).get("AWS")
        if statement.get("Effect") == "Allow" and "*" in (named if isinstance(named, list) else [named]):
            yield "its digitalocean_spaces_bucket_policy allows everyone"


@each(
    OBJECT, 59, Severity.CRITICAL, "Objects are private",
    "Set acl = private, or leave it out: an object's own acl opens it whatever the bucket's is.",
    section=Section.DATA,
)  # fmt: skip
def private_objects(item: Resource) -> Iterator[str]:
    """No object is public in a private bucket."""
    if item["acl"] not in (None, "private"):
        yield f"acl is {item['acl']!r}; set acl = private"


@whole_stack(
    13, Severity.HIGH, "Buckets let pages of named origins in, and no others",
    "Name the origins, methods and headers: with * any page can use an address that was signed for a person.",
    section=Section.DATA,
)  # fmt: skip
def pages(stack: Stack) -> Iterator[tuple[Resource, Iterator[str]]]:
    """Which pages a browser lets read an answer: none of a bucket without a configuration."""
    yield from ((bucket, iter(())) for bucket in stack.of(BUCKET))
    for configuration in stack.of("digitalocean_spaces_bucket_cors_configuration"):
        yield configuration, _of_pages(configuration)


def _of_pages(configuration: Resource) -> Iterator[str]:
    for rule in blocks(configuration.body, "cors_rule"):
        origins = rule.get("allowed_origins")
        if not isinstance(origins, list) or not origins:
            yield "name the origins that are allowed"
            continue
        for origin in origins:
            if not ORIGIN.fullmatch(str(origin)):
                yield f"{origin!r} is too wide: write https:// and a name, or https://*. and a domain of your own"
        for method in sorted(set(rule.get("allowed_methods") or ()) - HARMLESS):
            yield f"remove {method}: pages read and add, and services do the rest"
        if any("*" in str(header) for header in rule.get("allowed_headers") or ()):
            yield "name the headers that are allowed, without *"


@each(
    KEY, 11, Severity.CRITICAL, "Spaces keys open named buckets only",
    "Add a grant for each bucket, with read or readwrite: fullaccess opens every bucket of the account.",
    section=Section.SECRETS,
)  # fmt: skip
def named_buckets(key: Resource) -> Iterator[str]:
    """What a key opens is open to anybody who breaks into the one who holds it."""
    grants = blocks(key.body, "grant")
    if not grants:
        yield "add a grant: name the bucket that it opens"
    for grant in grants:
        if not is_set(grant.get("bucket")):
            yield "name the bucket of each grant"
        if grant.get("permission") not in ("read", "readwrite"):
            yield f"permission is {grant.get('permission')!r}; write read or readwrite"


@each(
    KEY, 60, Severity.HIGH, "Spaces keys open buckets that exist",
    "Refer to a digitalocean_spaces_bucket, or find it with a data source; write each bucket once.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def buckets_exist(key: Resource, stack: Stack) -> Iterator[str]:
    """A key is made after its buckets, and opens none that somebody else may make."""
    named = [grant.get("bucket") for grant in blocks(key.body, "grant")]
    for bucket in named:
        if not any(one.type == BUCKET for one in stack.follow(bucket)):
            yield f"grant of {bucket!r}: refer to a bucket that is made or found here"
        if named.count(bucket) > 1:
            yield f"{bucket} has more than one grant"


@each(
    OBJECT, 61, Severity.MEDIUM, "Objects are written to buckets that exist",
    "Refer to a digitalocean_spaces_bucket, or find it with a data source.",
    section=Section.DATA, shapes=WRITTEN,
)  # fmt: skip
def object_in_bucket(item: Resource, stack: Stack) -> Iterator[str]:
    """An object goes into no bucket of a stranger."""
    if not any(one.type == BUCKET for one in stack.follow(item["bucket"])):
        yield f"bucket {item['bucket']!r} is neither made nor found in this stack"
    if not items([item["key"]]) or not is_set(item["key"]):
        yield "set key"
