"""The variables that the provider, Spaces and the state's bucket need, and what to say where one is missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from model.placeholders import is_placeholder
from ops.errors import UsageError

STATE_VARIABLE = "PRESENCE360_STATE"


@dataclass(frozen=True)
class Credential:
    """A variable that a command needs, with the variables that can stand in for it."""

    name: str
    purpose: str
    alternatives: tuple[str, ...] = ()

    def problem(self, environ: Mapping[str, str]) -> str | None:
        """The line to print, or None where the variable or an alternative has a value."""
        values = {name: environ.get(name, "").strip() for name in (self.name, *self.alternatives)}
        if left := [name for name, value in values.items() if is_placeholder(value)]:
            return f"{left[0]} still has an example's value: set {self.purpose}; see .env.example"
        if any(values.values()):
            return None
        instead = f", and neither is {' or '.join(self.alternatives)}" if self.alternatives else ""
        return f"{self.name} is not set{instead}: {self.purpose}; see .env.example"


# The names that the DigitalOcean provider and Terraform's s3 backend read from the environment.
PROVIDER_CREDENTIALS = (
    Credential(
        "DIGITALOCEAN_TOKEN",
        "the API token, from the control panel under API > Tokens",
        alternatives=("DIGITALOCEAN_ACCESS_TOKEN",),
    ),
    Credential(
        "SPACES_ACCESS_KEY_ID",
        "the Spaces key that creates buckets, from the control panel under Spaces > Access Keys",
    ),
    Credential(
        "SPACES_SECRET_ACCESS_KEY", "the secret of that Spaces key, shown once when the key is created"
    ),
)
SPACES_CREDENTIALS = PROVIDER_CREDENTIALS[1:]
STATE_CREDENTIALS = (
    Credential(
        "AWS_ACCESS_KEY_ID",
        f"the Spaces key of the state bucket; or set {STATE_VARIABLE}=local to keep the state on this machine",
        alternatives=("AWS_PROFILE",),
    ),
    Credential(
        "AWS_SECRET_ACCESS_KEY",
        "the secret of the state bucket's Spaces key",
        alternatives=("AWS_PROFILE",),
    ),
)


def check_spaces(environ: Mapping[str, str]) -> None:
    """Check that there is a key for Spaces.

    Raises:
        UsageError: naming all that is missing.
    """
    if problems := [told for one in SPACES_CREDENTIALS if (told := one.problem(environ))]:
        raise UsageError(problems)
