"""Values that stand in a file to be replaced: those of `.env.example`, and what people write instead."""

import re

PLACEHOLDER = (
    "(?i)not[-_ ]?a[-_ ]?real|^(change[-_ ]?me|replace[-_ ]?me|placeholder|todo|tbd|xxx+|secret|password|example|dummy|"
    "none|null|undefined|test)$|^<.*>$|^your[-_ ]"
)
"""For Python and, as it is, for Terraform's regex (RE2): it holds no backslash and no quote."""


def is_placeholder(value: str) -> bool:
    """Tell whether a value was left as an example has it."""
    return re.search(PLACEHOLDER, value.strip()) is not None
