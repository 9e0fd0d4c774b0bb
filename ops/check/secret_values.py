"""Secrets: there where services read them, in no file of the checkout, and in the state only where they have to be."""

import re
from collections.abc import Iterator

from model.naming import secrets_key
from model.service_variables import service_secrets
from ops.check import state
from ops.check.finding import Finding, bad, few, good, not_seen
from ops.check.look import Look
from ops.check.repository import scan
from ops.errors import OperationError

# constructs_lib/service_secrets.py writes them: a name, and a value in double quotes.
_LINE = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_EMPTY = frozenset({"", '""'})


def injected(look: Look) -> Iterator[Finding]:
    """Each service's file of secrets names every variable that it is to have, none of them empty; no value is kept."""
    deploy = f"Set TF_VAR_{look.name.replace('-', '_')}_... (.env.example), and deploy: presence360 plan {look.name}"
    count = 0
    for group in look.plan.groups:
        for service in group.placement.services:
            wanted = {*service_secrets(service), *group.config.secrets.get(service.name, {})}
            content = look.read(group.config.bucket, secrets_key(service.name))
            if content is None:
                yield bad(f"{group.config.bucket} has no {secrets_key(service.name)}", deploy)
                continue
            there = set(_names(content))
            count += len(wanted)
            if missing := sorted(wanted - there):
                yield bad(f"{service.name} has no value of {few(missing)}", deploy)
    yield good(f"{count} secrets have values where services read them")


def _names(content: bytes) -> Iterator[str]:
    for line in content.decode(errors="replace").splitlines():
        match = _LINE.match(line)
        if match and match[2].strip() not in _EMPTY:
            yield match[1]


def in_repository(look: Look) -> Iterator[Finding]:
    """No file of the checkout holds a secret, by the formats that detect-secrets knows."""
    try:
        scanned = scan(look.root)
    except OperationError as error:
        yield not_seen(str(error), "Run it in a checkout with git")
        return
    if scanned.unread:
        yield not_seen(
            f"{few(scanned.unread)} cannot be read",
            "Make it readable; a repository inside of this one is scanned there",
        )
    if scanned.found:
        yield bad(
            f"a secret may stand in {few(map(str, scanned.found))}",
            "Revoke it first: who has a copy of the repository has it. Then remove it. An example says "
            "`pragma: allowlist secret` in its line (docs/check.md)",
        )
    else:
        yield good("detect-secrets finds none in the checkout")


def in_state(look: Look) -> Iterator[Finding]:
    """A secret that Terraform has to know stands in the state where it is made or handed on, and nowhere else."""
    read = state.read(look)
    found = [f"{stack}: {place}" for stack, content in read.items() for place in state.misplaced(content)]
    if found:
        yield bad(
            f"a secret stands in the state where it need not: {few(found)}",
            "Remove it from that argument or output, and rotate it (docs/runbooks/rotate-credentials.md)",
        )
    else:
        yield good(f"the states of {', '.join(read)} hold secrets only where they have to be")
