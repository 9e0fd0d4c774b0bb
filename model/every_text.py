"""What no text of an operator's file may be, in whichever field it stands: a template of Terraform's, or a secret."""

from collections.abc import Iterator, Mapping
from typing import Any

from model.errors import SECRETS, Findings, YamlPath, shown
from model.secret_values import HIDDEN, PRIVATE_HALF, is_private_half, is_secret, may_be_secret
from model.yaml_document import YamlDocument

_EXPOSED = (
    "Remove it, and replace it where it comes from: it is exposed. Only the names of secrets belong here, under "
    "`secrets` of environment.yaml; .env.example says where their values go."
)


def interpolations(document: YamlDocument) -> Findings:
    """Find text that Terraform would evaluate."""
    findings = Findings()
    # Without a backslash, which spells any character in double quotes, the text shows what the values hold.
    if not any(mark in document.text for mark in ("${", "%{", "\\")):
        return findings
    for path, text, _ in _texts(document.value):
        if "${" in text or "%{" in text:
            told = HIDDEN if path[:1] == (SECRETS,) else shown(text)
            message = f"{told} contains ${{ or %{{, which Terraform would evaluate"
            findings.add(path, message, "Remove it: these files are not templates.")
    return findings


def exposed(document: YamlDocument) -> Findings:
    """Find passwords and keys in every field where no other rule looks for them."""
    findings = Findings()
    if not may_be_secret(document.text) and "\\" not in document.text:
        return findings
    for path, text, at_key in _texts(document.value):
        # What is wrong below `secrets` is told by model/explain.py, and values of settings by model/releases.py, each
        # with a remedy of its own.
        if path[:1] == (SECRETS,) or (path[:1] == ("settings",) and len(path) > 1 and not at_key):
            continue
        if is_secret(text):
            what = "the name" if at_key else "the value"
            message = f"{what} contains a password or a key, and this file is in git"
            remedy = PRIVATE_HALF if is_private_half(text) else _EXPOSED
            findings.add(path, message, remedy, at_key=at_key)
    return findings


def _texts(value: Any) -> Iterator[tuple[YamlPath, str, bool]]:
    """Yield every text below a value with its path, and whether it is a key."""
    pending: list[tuple[YamlPath, Any]] = [((), value)]
    while pending:
        path, here = pending.pop()
        if isinstance(here, Mapping):
            for key, child in here.items():
                yield (*path, key), key, True
                pending.append(((*path, key), child))
        elif isinstance(here, tuple):
            pending.extend(((*path, index), child) for index, child in enumerate(here))
        elif isinstance(here, str):
            yield path, here, False
