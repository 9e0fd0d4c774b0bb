"""The operators' secrets: sensitive Terraform variables, read from TF_VAR_<name> and from nowhere else."""

from collections.abc import Iterable

from cdktf import TerraformVariable, TerraformVariableValidationConfig
from constructs import Construct

from model.placeholders import PLACEHOLDER


class OperatorSecrets(Construct):
    """One sensitive variable a secret. Its value is in the state and in buckets, never in the JSON."""

    def __init__(self, scope: Construct, construct_id: str, *, variables: Iterable[str]) -> None:
        super().__init__(scope, construct_id)
        self._expressions = {name: self._variable(name).fqn for name in sorted(set(variables))}

    def expression(self, variable: str) -> str:
        """Return the expression, without `${}`, for one secret's value."""
        return self._expressions[variable]

    def _variable(self, name: str) -> TerraformVariable:
        variable = TerraformVariable(
            self,
            name,
            type="string",
            sensitive=True,
            nullable=False,
            description=f"Read from TF_VAR_{name}; see .env.example.",
            validation=[
                # `.env.example` copied and left as it is sets a variable to nothing, or to a value that is none.
                TerraformVariableValidationConfig(
                    condition=f"${{length(trimspace(var.{name})) > 0}}",
                    error_message=f"TF_VAR_{name} is empty. Set it in .env; .env.example says what it is.",
                ),
                TerraformVariableValidationConfig(
                    condition=f'${{!can(regex("{PLACEHOLDER}", trimspace(var.{name})))}}',
                    error_message=f"TF_VAR_{name} is an example's value and no secret. Set it in .env; .env.example "
                    "says what it is.",
                ),
            ],
        )
        variable.override_logical_id(name)
        return variable
