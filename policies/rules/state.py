"""State is remote, locked and an environment's own; Terraform and the provider are pinned."""

import re
from collections.abc import Iterator
from itertools import chain

from policies.drill import is_of_drill
from policies.policy import ALL, WRITTEN, Section, Severity, across, whole_stack
from policies.stack import Stack
from policies.values import Block, is_true

REMOTE = ("s3", "remote", "http", "gcs", "azurerm", "pg", "consul", "oss", "cos", "kubernetes")
MAKES_STATE = {"digitalocean_spaces_bucket", "digitalocean_spaces_key", "terraform_data", "random_id"}
"""Of these kinds alone is a stack that makes the buckets of the others' state, which cannot be in one itself."""
UPPER_BOUND = re.compile(r"<|~>|^\s*=?\s*\d")
WHERE = "terraform"


def backend(stack: Stack) -> tuple[str, Block]:
    """Return the kind and the configuration of a stack's backend; `local` if there is none."""
    if stack.terraform.get("cloud"):
        return "remote", {}
    written = stack.terraform.get("backend") or {}
    for one in written if isinstance(written, list) else [written]:
        for kind, body in one.items():
            return kind, body if isinstance(body, dict) else {}
    return "local", {}


def _is_first(stack: Stack) -> bool:
    return {resource.type for resource in stack.resources.values()} <= MAKES_STATE


def _is_a_stack(stack: Stack) -> bool:
    """Whether it is deployed: a module without a backend and without a provider is part of another stack."""
    return bool(stack.providers or stack.terraform.get("backend") or stack.terraform.get("cloud"))


@whole_stack(
    85, Severity.CRITICAL, "State is remote",
    "Configure a backend, such as s3 with a versioned private bucket. Only the stack that makes that bucket has none.",
    section=Section.BACKUP, shapes=WRITTEN,
)  # fmt: skip
def remote(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """A lost laptop loses no state."""
    if _is_a_stack(stack):
        kind, _ = backend(stack)
        fine = kind in REMOTE or _is_first(stack)
        yield WHERE, [] if fine else [f"the backend is {kind}; state would be on one computer"]


@whole_stack(
    86, Severity.HIGH, "State is locked while it is written",
    "Set use_lockfile = true in the backend s3 (dynamodb_table in older versions).",
    section=Section.BACKUP, shapes=WRITTEN,
)  # fmt: skip
def locked(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """Of two applies at once one waits."""
    kind, body = backend(stack)
    if _is_a_stack(stack):
        fine = kind != "s3" or is_true(body.get("use_lockfile")) or body.get("dynamodb_table")
        yield WHERE, [] if fine else ["set use_lockfile = true in the backend"]


@whole_stack(
    87, Severity.CRITICAL, "The backend's configuration holds no credentials",
    "Remove access_key, secret_key and token; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def no_credentials(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """They would be in the repository and in each plan."""
    _, body = backend(stack)
    secret = [
        name for name in ("access_key", "secret_key", "token", "password", "conn_str") if body.get(name)
    ]
    if _is_a_stack(stack):
        yield WHERE, [f"remove {name} from the backend" for name in secret]


@across(
    88, Severity.CRITICAL, "Each stack has a state of its own, and each environment a bucket",
    "Give each stack another key; and stacks of different projects different buckets.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def own_state(stacks: list[Stack]) -> Iterator[tuple[Stack, str, list[str]]]:
    """No deploy overwrites what another one made; a key for staging's state does not open production's."""
    remotes = [(stack, backend(stack)[1]) for stack in stacks if backend(stack)[0] == "s3"]
    for stack, body in remotes:
        problems = []
        for other, others in remotes:
            if other is not stack and body.get("bucket") == others.get("bucket"):
                if body.get("key") == others.get("key"):
                    problems.append(
                        f"{other.file} has the same state: {body.get('bucket')}/{body.get('key')}"
                    )
                if _projects(stack) and _projects(other) and _projects(stack) != _projects(other):
                    problems.append(
                        f"{other.file} is of another project, and has its state in the same bucket"
                    )
        yield stack, WHERE, problems


def _projects(stack: Stack) -> set[str]:
    # What is destroyed within hours has a project of its own, so that nothing else is in it.
    if is_of_drill(stack):
        return set()
    found = chain(stack.of("digitalocean_project"), stack.data("digitalocean_project"))
    return {str(one["name"]) for one in found}


@whole_stack(
    89, Severity.HIGH, "The provider is pinned",
    "Write a version with an upper bound in required_providers: the next major version may plan replacements.",
    section=Section.ENVIRONMENTS, shapes=ALL,
)  # fmt: skip
def provider_pinned(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """An upgrade is a change that somebody reviews."""
    required = stack.terraform.get("required_providers") or {}
    for one in required if isinstance(required, list) else [required]:
        for name, body in one.items():
            version = str(body.get("version", "")) if isinstance(body, dict) else str(body)
            problems = (
                [] if UPPER_BOUND.search(version) else [f"{name}: version is {version!r}; add an upper bound"]
            )
            if (
                name == "digitalocean"
                and isinstance(body, dict)
                and body.get("source") != "digitalocean/digitalocean"
            ):
                problems.append(f"source is {body.get('source')!r}; use digitalocean/digitalocean")
            yield f"{WHERE}.required_providers.{name}", problems
    uses = any(resource.type.startswith("digitalocean_") for resource in stack.resources.values())
    if uses and not any(
        "digitalocean" in one for one in (required if isinstance(required, list) else [required])
    ):
        yield f"{WHERE}.required_providers", ["name digitalocean/digitalocean and its version"]


@whole_stack(
    90, Severity.MEDIUM, "Terraform's version is bounded",
    "Set required_version in the block terraform.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def terraform_version(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """A version that cannot read the configuration says so at once."""
    if _is_a_stack(stack):
        yield WHERE, [] if stack.terraform.get("required_version") else ["set required_version"]


@whole_stack(
    91, Severity.CRITICAL, "The provider is configured without credentials",
    "Remove token, spaces_access_id and spaces_secret_key; set DIGITALOCEAN_TOKEN and the SPACES_ variables.",
    section=Section.SECRETS, shapes=ALL,
)  # fmt: skip
def provider_without_credentials(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """A variable that is marked as sensitive is fine; a text is not."""
    for body in stack.providers.get("digitalocean", []):
        written = [body.get(name) for name in ("token", "spaces_access_id", "spaces_secret_key")]
        yield (
            "provider.digitalocean",
            ["a credential is written out" for one in written if one and "var." not in str(one)],
        )


@whole_stack(
    92, Severity.MEDIUM, "The provider keeps below the limit of requests",
    "Set requests_per_second to 4 at the most: DigitalOcean takes 250 requests a minute.",
    section=Section.ENVIRONMENTS, shapes=ALL,
)  # fmt: skip
def slow_enough(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """An apply is not refused half-way."""
    for body in stack.providers.get("digitalocean", []):
        rate = body.get("requests_per_second")
        fine = isinstance(rate, int | float) and 0 < rate <= 250 / 60
        yield "provider.digitalocean", [] if fine else [f"requests_per_second is {rate}; set 4"]
