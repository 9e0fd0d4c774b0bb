"""Write a new environment's folder after an existing one: `presence360 env init preview`."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model.environment import EnvironmentFile
from model.errors import Problem, relative_name
from model.ip_ranges import PRIVATE_RANGES, IPv4Network, vpc_range_faults
from model.loader import ENVIRONMENT_FILE, TENANTS_FILE, Environment
from model.plan import plan_environment
from ops import yaml_edit
from ops.edits import Draft, Edited, draft
from ops.refused import RefusedError

_TENANTS = """\
# yaml-language-server: $schema=../../schemas/tenants.schema.json
# The churches of {name}. To add one: presence360 tenant add {name} --name "Zion Chapel" --slug zion
tenants: []
"""

# RFC 4253, section 6.6, and RFC 8709, section 4: the type and 32 bytes, each with its length before it.
_KEY_TYPE = b"ssh-ed25519"


@dataclass(frozen=True)
class Wanted:
    """What a new environment is called and where it answers.

    Attributes:
        name: the folder's name.
        source: the environment that is copied.
        domain: its base domain; None: its name below the source's, or in the place of the source's name.
        ip_range: its VPC's range; None: a free one.
        ssh_key: an administrator's public key; None: an example's, which `synth` warns of.
    """

    name: str
    source: str
    domain: str | None = None
    ip_range: str | None = None
    ssh_key: str | None = None


def init(root: Path, wanted: Wanted) -> Edited:
    """Write the folder, without tenants and without a lock.

    A domain below another environment's is delegated there, since the files would not be valid without it.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: the folder exists, there is no such source, or the new files would not be valid.
    """
    with draft(root) as change:
        source = change.environment(wanted.source)
        folder = root / wanted.name
        if folder.exists():
            remedy = "Choose another name, or edit the files that are there."
            message = "this environment exists already"
            raise RefusedError(Problem(relative_name(folder), 0, "", message, remedy))
        others = [environment.file for environment in change.environments.values()]
        domain = wanted.domain or _domain(source.file, wanted.name)
        ip_range = wanted.ip_range or str(free_range(others, source.file))
        text = (root / wanted.source / ENVIRONMENT_FILE).read_text(encoding="utf-8")
        change.add(folder / ENVIRONMENT_FILE, _copied(text, source.file, wanted, domain, ip_range))
        change.add(folder / TENANTS_FILE, _TENANTS.format(name=wanted.name))
        parent = _delegate(change, others, domain)
        written = change.write()
    return Edited(written.files, tuple(_said(written.environments[wanted.name], wanted, parent)))


def free_range(others: Iterable[EnvironmentFile], like: EnvironmentFile) -> IPv4Network:
    """Return a private range as large as another environment's, clear of all others and of what is reserved.

    It lies above the highest one in use, where there is room, so that the next environment's is the next number.
    """
    taken = [file.network.ip_range for file in others]
    prefix = like.network.ip_range.prefixlen
    # A block of its own for each, so that there is room to look at addresses and know whose they are.
    blocks = [block for private in PRIVATE_RANGES for block in private.subnets(new_prefix=16)]
    highest = max(network.network_address for network in taken)
    for block in [*(block for block in blocks if block.network_address > highest), *blocks]:
        if any(block.overlaps(network) for network in taken):
            continue
        found = next(block.subnets(new_prefix=prefix))
        if not list(vpc_range_faults(found, like.region)):
            return found
    message = "no private range is free"
    raise RefusedError(Problem("environments", 0, "network.ip_range", message, "Give one: --ip-range."))


def _domain(source: EnvironmentFile, name: str) -> str:
    """Put the name in the place of the source's, or before the source's domain."""
    first, _, rest = source.base_domain.partition(".")
    return f"{name}.{rest}" if first == source.environment else f"{name}.{source.base_domain}"


def _copied(text: str, source: EnvironmentFile, wanted: Wanted, domain: str, ip_range: str) -> str:
    description = _renamed(source.description, source.environment, wanted.name)
    for path, value in (
        (("environment",), wanted.name),
        (
            ("description",),
            description if description != source.description else f"{description} ({wanted.name})",
        ),
        (("base_domain",), domain),
        (("network", "ip_range"), ip_range),
    ):
        text = yaml_edit.set_value(text, path, value)
    # An account holds a public key once, so environments cannot share one.
    first, *others = source.network.ssh_keys
    text = yaml_edit.set_value(
        text, ("network", "ssh_keys", first), wanted.ssh_key or example_key(wanted.name)
    )
    for label in others:
        text = yaml_edit.remove(text, ("network", "ssh_keys", label))
    for path, present in (
        (("dns", "delegations"), source.dns.delegations),
        (("postgres", "cells"), source.postgres.cells),
    ):
        if present:
            text = yaml_edit.remove(text, path)
    lines = text.splitlines(keepends=True)
    return "".join(
        _renamed(line, source.environment, wanted.name) if line.lstrip().startswith("#") else line
        for line in lines
    )


def _renamed(text: str, old: str, new: str) -> str:
    """Replace an environment's name where it stands as a word, or within TF_VAR_..., in either case."""
    for before, after in ((old, new), (old.capitalize(), new.capitalize())):
        text = re.sub(rf"(?<![A-Za-z0-9-]){re.escape(before)}(?![A-Za-z0-9-])", after, text)
    return text


def example_key(name: str) -> str:
    """Return a public key whose other half nobody has, another one for each name; `model.ssh_keys` knows it as such."""
    byte = hashlib.sha256(name.encode()).digest()[:1]
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (_KEY_TYPE, byte * 32))
    return f"{_KEY_TYPE.decode()} {base64.b64encode(blob).decode()} replace-me@{name}.example"


def _delegate(change: Draft, others: Iterable[EnvironmentFile], domain: str) -> str | None:
    """Name the new zone in the zone above it; the environment that has that one, if there is any."""
    above = [file for file in others if domain.endswith(f".{file.base_domain}")]
    if not above:
        return None
    parent = max(above, key=lambda file: len(file.base_domain))
    label = domain.removesuffix(f".{parent.base_domain}").rsplit(".", maxsplit=1)[-1]
    if label not in parent.dns.delegations:
        file = change.file(parent.environment, ENVIRONMENT_FILE)
        if parent.dns.delegations:
            change.edit(file, lambda text: yaml_edit.append(text, ("dns", "delegations"), label))
        else:
            change.edit(file, lambda text: yaml_edit.set_value(text, ("dns", "delegations"), [label]))
    return parent.environment


def _said(made: Environment, wanted: Wanted, parent: str | None) -> Iterator[str]:
    file, ip_range = made.file, made.file.network.ip_range
    yield f"{file.environment}: a copy of {wanted.source} with the domain {file.base_domain} and the range {ip_range}."
    yield "It has no tenants and no cells yet."
    if not wanted.ip_range:
        yield f"No other environment's range overlaps {ip_range}. Check it against other VPCs of your account."
    yield "Left to you:"
    left = []
    if not wanted.ssh_key:
        first = next(iter(file.network.ssh_keys))
        left.append(f"The SSH key: network.ssh_keys.{first} is an example. Write your own public key there.")
    secrets = " ".join(f"TF_VAR_{variable}" for variable in plan_environment(made).terraform_variables)
    left.append(f"The secrets, in .env or in CI (docs/ci.md): {secrets}")
    left.append(
        f"The delegation: dns.delegations of {parent} names it now. Deploy {parent} before {file.environment}; CI "
        f"would deploy {file.environment} first, so merge {parent}'s line before this folder, in a pull request of its "
        "own."
        if parent
        else f"The delegation: point {file.base_domain} at DigitalOcean's name servers (README.md, First deploy)."
    )
    left.append("The state: `cdktf deploy bootstrap` makes its bucket and its key (README.md, First deploy).")
    yield from (f"  {number}. {line}" for number, line in enumerate(left, start=1))
    yield f"Then: presence360 synth, presence360 plan {file.environment}, presence360 apply {file.environment}"
