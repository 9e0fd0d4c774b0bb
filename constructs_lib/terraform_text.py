"""Text inside Terraform's strings: what must arrive unchanged, and what Terraform computes.

Every string in the JSON is a template to Terraform. Text of ours that holds `${` or `%{`, as Compose files,
nginx variables and shell scripts do, would be evaluated; and a secret that Terraform puts into a file has to be
quoted by Terraform, because it is unknown when this program runs.
"""

import json
import re

from cdktf import TerraformLocal, TerraformResource

from model.env_file import ESCAPES

# A `$` or `%` before the escaped `{` needs no care: HCL reads `$$${` as a dollar sign and an escape.
_TEMPLATE_MARK = re.compile(r"([$%])(?=\{)")


EACH_KEY = "${each.key}"
"""The key of an entry of a `for_each`. As text: an iterator answers the same after a message to Node."""


def each_value(attribute: str) -> str:
    """Return an attribute of an entry of a `for_each`."""
    return f"${{each.value.{attribute}}}"


def literal(text: str) -> str:
    """Escape a text so that Terraform hands it on unchanged (its documentation, "Strings and Templates")."""
    return _TEMPLATE_MARK.sub(r"\1\1", text)


def string(text: str) -> str:
    """Return an expression, without `${}`, for a text that is known now."""
    return json.dumps(literal(text))


def address(element: TerraformLocal | TerraformResource) -> str:
    """Return an element's address in Terraform as plain text.

    `fqn` is a token, and cdktf writes `${}` around a token that stands behind a `}` in an expression.
    """
    kind = "local" if isinstance(element, TerraformLocal) else element.terraform_resource_type
    return f"{kind}.{element.friendly_unique_id}"


def env_file_line(variable: str, expression: str) -> str:
    """Return a template for one line of an environment file; the value is an expression without `${}`.

    The twin of `model.env_file.quoted`, for values that only Terraform knows.
    """
    for character, escape in ESCAPES:
        expression = f"replace({expression}, {json.dumps(character)}, {json.dumps(escape)})"
    return f'{variable}="${{{expression}}}"\n'


def url_part(expression: str) -> str:
    """Return an expression that encodes a part of a URL; `urlencode` alone writes a blank as `+`."""
    return f'replace(urlencode({expression}), "+", "%20")'
