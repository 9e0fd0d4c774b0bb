"""What every part of the operators' files has in common: strict, frozen, no unknown keys, a JSON Schema."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from model.ip_ranges import AnyNetwork, IPv4Network, parse_network


class Schema(BaseModel):
    """A mapping in an operator's file."""

    # Built when a file's root is first validated: each part by itself as well would take twice as long.
    model_config = ConfigDict(defer_build=True, strict=True, frozen=True, extra="forbid")


def _cidr(value: object) -> AnyNetwork:
    if not isinstance(value, str):
        raise ValueError("this is not text; write a CIDR such as 203.0.113.7/32")
    return parse_network(value)


def _ipv4(network: AnyNetwork) -> IPv4Network:
    if not isinstance(network, IPv4Network):
        raise ValueError("DigitalOcean's VPCs have IPv4 ranges only")
    return network


_CIDR_SCHEMA = {"type": "string", "examples": ["203.0.113.7/32"]}

Cidr = Annotated[AnyNetwork, BeforeValidator(_cidr), WithJsonSchema(_CIDR_SCHEMA)]
Cidr4 = Annotated[
    IPv4Network,
    BeforeValidator(lambda value: _ipv4(_cidr(value))),
    WithJsonSchema(_CIDR_SCHEMA),
]

# What cannot be seen: controls; soft hyphens, joiners, direction marks and other format characters (Unicode's category
# Cf), which make two names look alike; fillers that are drawn as nothing.
_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
# Blanks of all widths (Unicode's category Zs): inside a text, and not at its ends.
_BLANK = r" \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
TEXT_PATTERN = f"^[^{_UNSEEN}{_BLANK}]([^{_UNSEEN}]*[^{_UNSEEN}{_BLANK}])?$"
LABEL_PATTERN = r"^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=TEXT_PATTERN)]
"""One line for people to read. `${` and `%{` are refused for whole files by the loader."""

Label = Annotated[str, StringConstraints(pattern=LABEL_PATTERN)]
"""A short name that becomes part of physical names and of construct ids: it survives both unchanged."""

__all__ = ["LABEL_PATTERN", "TEXT_PATTERN", "Cidr", "Cidr4", "Field", "Label", "Schema", "Text"]
