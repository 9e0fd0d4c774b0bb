"""No secret is in outputs, locals, variables' defaults or what is uploaded."""

import re
from collections.abc import Iterator

from policies.policy import ALL, WRITTEN, Section, Severity, whole_stack
from policies.rules.secret_text import SECRET_ATTRIBUTE, certain_in
from policies.stack import Resource, Stack
from policies.values import is_true, texts

# A whole resource that has such an attribute; not `for u in digitalocean_database_user.x :`, which picks.
WHOLE = re.compile(
    r"(?<!\bin )\b(digitalocean_(?:database_cluster|database_user|database_replica|database_connection_pool"
    r"|spaces_key)\.[\w-]+)(?:\[[^\]]*\])?(?![\w.\[-])"
)
SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|private_key|api_?key|access_key|signing_key)")


@whole_stack(
    10, Severity.CRITICAL, "Outputs that show a secret are sensitive",
    "Set sensitive = true, or do not output it: outputs appear in CI's logs.",
    section=Section.SECRETS, shapes=ALL,
)  # fmt: skip
def outputs(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """It follows local values, because they cannot be marked as sensitive."""
    for name, body in stack.outputs.items():
        shown = [] if is_true(body.get("sensitive")) else list(stack.texts(body.get("value")))
        finds = {
            found
            for text in shown
            for pattern in (SECRET_ATTRIBUTE, WHOLE)
            for found in pattern.findall(text)
        }
        yield (
            f"output.{name}",
            [f"shows {find}; set sensitive = true, or do not output it" for find in sorted(finds)],
        )


def _certain(value: object) -> list[str]:
    """Return what certainly is a secret in the texts of a value."""
    return sorted({what for text in texts(value) for what in certain_in(text)})


@whole_stack(
    93, Severity.CRITICAL, "Local values hold no secret",
    "Make it a variable that is sensitive: a local value is in the repository.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def in_locals(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """Tokens, keys, and addresses with a password in them."""
    for name, value in stack.locals.items():
        yield f"local.{name}", [f"holds {what}" for what in _certain(value)]


@whole_stack(
    94, Severity.HIGH, "Variables for secrets are sensitive and have no default",
    "Set sensitive = true and remove default.",
    section=Section.SECRETS, shapes=ALL,
)  # fmt: skip
def variables(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """No plan shows them, and none is in the repository."""
    for name, body in stack.variables.items():
        if SECRET_NAME.search(name):
            problems = [] if is_true(body.get("sensitive")) else ["set sensitive = true"]
            if body.get("default"):
                problems.append("remove default: it is a secret in the repository, or a guess that works")
            yield f"variable.{name}", problems


@whole_stack(
    95, Severity.CRITICAL, "No argument of a resource holds a secret",
    "Refer to a sensitive variable or to the resource that makes the secret.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def in_arguments(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Tokens, keys, and addresses with a password in them; user data has a policy of its own."""
    for resource in stack.resources.values():
        if not resource.is_data:
            body = {name: value for name, value in resource.body.items() if name != "user_data"}
            yield resource, [f"holds {what}" for what in _certain(body)]


@whole_stack(
    96, Severity.HIGH, "Slack's addresses and other channels' secrets come from variables",
    "Refer to a sensitive variable: anybody who has the address of a webhook can write to the channel.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def webhooks(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """The address of a webhook is its password."""
    for alert in stack.of("digitalocean_monitor_alert", "digitalocean_uptime_alert"):
        found = [text for text in texts(alert.body) if "hooks.slack.com/" in text]
        yield alert, ["the address of a Slack webhook is written out" for _ in found]
