"""The variables that a step gives to Terraform, and the check that none is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ops.cdktf_checks import preflight, this_machine
from ops.ci import workflow
from ops.credentials import PROVIDER_CREDENTIALS, STATE_CREDENTIALS, STATE_VARIABLE, Credential
from ops.env_file import command_environment, parse_env
from ops.errors import UsageError

SERVICE_SECRETS = "SERVICE_SECRETS"
"""One variable that holds all TF_VAR_..., one per line as in .env: a workflow cannot list what `secrets:` names."""

_PREFIX = "TF_VAR_"


def load(root: Path) -> dict[str, str]:
    """Return this process's variables, those of .env, and those that SERVICE_SECRETS holds.

    Raises:
        UsageError: one of the two cannot be read. Values are never shown.
    """
    environ = command_environment(root)
    given = parse_env(environ.pop(SERVICE_SECRETS, ""), SERVICE_SECRETS)
    for value in given.values():
        # GitHub masks the whole secret, not each line of it.
        workflow.mask(value)
    if wrong := [name for name in given if not name.startswith(_PREFIX)]:
        raise UsageError([f"{SERVICE_SECRETS} sets {name}: it may only set {_PREFIX}..." for name in wrong])
    return given | environ


def check_plan(environ: dict[str, str], stacks: Sequence[str]) -> None:
    """Check that these stacks can be planned.

    Raises:
        UsageError: naming all that is missing.
    """
    preflight(["diff", *stacks], environ, this_machine(environ))


def check_apply(environ: dict[str, str], stacks: Sequence[str]) -> None:
    """Check that the plans of these stacks can be applied; the values of variables are in the plan.

    Raises:
        UsageError: naming all that is missing.
    """
    preflight(["diff", *stacks], environ, replace(this_machine(environ), terraform_variables=lambda _: []))


def check_provider(environ: Mapping[str, str]) -> None:
    """Check that DigitalOcean and its Spaces can be asked.

    Raises:
        UsageError: naming all that is missing.
    """
    _check(PROVIDER_CREDENTIALS, environ)


def check_state(environ: Mapping[str, str]) -> None:
    """Check that a state in a bucket can be read and unlocked.

    Raises:
        UsageError: naming all that is missing.
    """
    if environ.get(STATE_VARIABLE) == "local":
        return
    _check(STATE_CREDENTIALS, environ)


def _check(credentials: Sequence[Credential], environ: Mapping[str, str]) -> None:
    if problems := [told for credential in credentials if (told := credential.problem(environ))]:
        raise UsageError(problems)


def without_credentials(environ: dict[str, str]) -> bool:
    """Whether no credential is set at all, so that a comparison was never set up."""
    names = [
        name
        for credential in (*PROVIDER_CREDENTIALS, *STATE_CREDENTIALS)
        for name in (credential.name, *credential.alternatives)
    ]
    return not any(environ.get(name) for name in names)
