"""What one service alone may know: the operators' secrets that name it, and its ways to the data."""

from collections.abc import Mapping

from constructs_lib.control_plane import ControlPlane
from constructs_lib.data_layer import DataLayer
from constructs_lib.operator_secrets import OperatorSecrets
from constructs_lib.tenant_plane import TenantPlane
from constructs_lib.terraform_text import env_file_line
from model.droplets import DropletGroupPlan
from model.naming import secrets_key
from model.service_variables import (
    CONTROL_PLANE_DATABASE_URL,
    EXPORTS,
    TENANT_CREDENTIALS,
    TENANT_DIRECTORY,
    VALKEY_URL,
    service_secrets,
)

HEADING = "# Written by Terraform: an edit here is undone by the next deploy.\n"
"""A file of comments alone is a file: the provider cannot tell an empty content from none."""


def secret_files(
    plan: DropletGroupPlan,
    secrets: OperatorSecrets,
    data: DataLayer,
    control_plane: ControlPlane,
    tenant_plane: TenantPlane,
) -> dict[str, str]:
    """Return a group's environment files with secrets, one for each service, by key in the bucket.

    A value is a template of Terraform's.
    """
    ways = {
        CONTROL_PLANE_DATABASE_URL: control_plane.database_url,
        VALKEY_URL: data.valkey.url,
        **control_plane.directory.variables(TENANT_DIRECTORY),
        **tenant_plane.credential_variables(TENANT_CREDENTIALS),
        **data.exports.key_variables(EXPORTS),
    }
    return {
        secrets_key(service.name): _file(
            {name: ways[name] for name in service_secrets(service)}
            | {
                variable: secrets.expression(name)
                for variable, name in plan.config.secrets[service.name].items()
            }
        )
        for service in plan.placement.services
    }


def _file(expressions: Mapping[str, str]) -> str:
    lines = (env_file_line(variable, expression) for variable, expression in sorted(expressions.items()))
    return HEADING + "".join(lines)
