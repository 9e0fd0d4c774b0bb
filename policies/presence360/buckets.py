"""What Presence360's buckets hold, and which key opens which of them (model/bucket_access.py)."""

import re
from collections.abc import Iterator

from model import bucket_access
from model.bucket_access import SERVICE_KEYS, Bucket
from model.naming import PRODUCT
from policies.policy import WRITTEN, Section, Severity, each, whole_stack
from policies.rules.spaces import BUCKET, KEY, OBJECT, is_on, rules
from policies.stack import Resource, Stack
from policies.values import Block, at_least_one, block, blocks

RAW_VIDEO = re.compile(r"(?i)video|footage|recording|stream|mp4|(?<![a-z])raw(?![a-z])")
ISOLATION, SECRETS_OF_ALERTS = re.compile(r"isolation/.*\.json"), "observability-secrets.json"


@each(
    BUCKET, 116, Severity.HIGH, "No bucket is for raw video",
    "Leave raw video where it is recorded; only snapshots and exports with consent are stored.",
    section=Section.DATA,
)  # fmt: skip
def no_raw_video(bucket: Resource) -> Iterator[str]:
    """Neither a name nor a prefix suggests it."""
    for text in (bucket["name"], *(rule.get("prefix") for rule in rules(bucket))):
        if RAW_VIDEO.search(str(text or "")):
            yield f"{text!r} suggests raw video, which is never stored here"


@whole_stack(
    117, Severity.HIGH, "Exports and snapshots expire",
    "Give each prefix of the exports bucket a rule that ends the current and the earlier versions.",
    section=Section.BACKUP,
)  # fmt: skip
def exports_expire(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """They hold personal data; with versioning on, a rule without the second keeps everything."""
    for bucket in stack.of(BUCKET):
        is_of_exports = str(bucket["name"]).endswith(f"-{Bucket.EXPORTS}")
        with_prefix = [rule for rule in rules(bucket) if rule.get("prefix")]
        yield bucket, list(_of_exports(with_prefix)) if is_of_exports else []


def _of_exports(found: list[Block]) -> Iterator[str]:
    if not found:
        yield "exports must expire: add a lifecycle_rule for each prefix"
    for rule in found:
        prefix = rule.get("prefix")
        if not (is_on(rule) and at_least_one(block(rule, "expiration").get("days"))):
            yield f"{prefix}: set expiration.days and enabled = true"
        if not at_least_one(block(rule, "noncurrent_version_expiration").get("days")):
            yield f"{prefix}: set noncurrent_version_expiration.days"


def _short(name: object) -> str:
    """`presence360-staging-config-app` -> `config-app`."""
    product, _, rest = str(name).partition("-")
    return rest.partition("-")[2] if product == PRODUCT else str(name)


def _grants(key: Resource, stack: Stack) -> dict[str, str]:
    return {
        _short(stack.name_of(grant.get("bucket"))): str(grant.get("permission"))
        for grant in blocks(key.body, "grant")
    }


def _groups_with(stack: Stack, pattern: re.Pattern[str]) -> set[str]:
    """Return the groups whose configuration bucket gets an object of a kind."""
    return {
        _short(stack.name_of(item["bucket"])).removeprefix(f"{Bucket.CONFIGURATION}-")
        for item in stack.of(OBJECT)
        if pattern.fullmatch(str(item["key"]))
    }


@whole_stack(
    118, Severity.CRITICAL, "Every key opens exactly what the table says",
    "Change model/bucket_access.py, from which grants are made: nothing else decides what a droplet may read or write.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def as_in_the_table(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Each droplet's key, and each service's."""
    watched = _groups_with(stack, ISOLATION) | _groups_with(stack, re.compile(re.escape(SECRETS_OF_ALERTS)))
    for key in stack.of(KEY):
        found, short = _grants(key, stack), _short(stack.name_of(key["name"]))
        kind, _, group = short.partition("-")
        if kind == Bucket.CONFIGURATION:
            wanted = {
                short: bucket_access.OWN_CONFIGURATION,
                f"{Bucket.STATUS}-{group}": bucket_access.OWN_STATUS,
            }
            wanted |= {
                f"{Bucket.STATUS}-{other}": bucket_access.OTHERS_STATUS for other in watched if other != group
            }
            if Bucket.CREDENTIALS in found and _is_admitted(stack, group):
                wanted[Bucket.CREDENTIALS] = bucket_access.CREDENTIALS
        elif short == Bucket.BACKUPS_COPY:
            wanted = {bucket.value: right for bucket, right in bucket_access.COPIER_KEY.items()}
        else:
            wanted = {bucket.value: right for bucket, right in SERVICE_KEYS.items() if bucket == short}
        problems = [f"opens {name} for {right}; the table has no such grant" for name, right in found.items()
                    if wanted.get(name) != right]  # fmt: skip
        problems += [
            f"does not open {name} for {right}" for name, right in wanted.items() if found.get(name) != right
        ]
        yield key, problems


def _is_admitted(stack: Stack, group: str) -> bool:
    """Whether a group's droplets reach a Postgres, as they must to use tenants' credentials."""
    return any(
        stack.name_of(rule.get("value")).endswith(f"-group-{group}")
        for firewall in stack.of("digitalocean_database_firewall")
        if any(cluster["engine"] == "pg" for cluster in stack.follow(firewall["cluster_id"]))
        for rule in blocks(firewall.body, "rule")
    )


@whole_stack(
    119, Severity.CRITICAL, "No key writes a configuration bucket",
    "Grant read: who writes a group's configuration chooses what its droplets run.",
    section=Section.SECRETS,
)  # fmt: skip
def configuration_is_read_only(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Terraform writes it, with the operators' own key."""
    for key in stack.of(KEY):
        yield (
            key,
            [
                f"writes {name}; grant read"
                for name, right in _grants(key, stack).items()
                if name.startswith(f"{Bucket.CONFIGURATION}-") and right != "read"
            ],
        )
