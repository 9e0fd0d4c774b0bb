"""What Terraform makes or runs beside the rules that a reader of a stack sees: none of that may be there.

The policies below refuse it in every stack; `presence360 reach` proves nothing of a stack or a plan that has it.
Both go by what stands here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from policies.policy import Section, Severity, each, whole_stack
from policies.rules.load_balancers import BALANCER
from policies.stack import Resource, Shape, Stack
from policies.values import blocks

Json = Mapping[str, Any]
Body = Mapping[str, Any]

SECTIONS = frozenset(
    {"//", "data", "locals", "moved", "output", "provider", "resource", "terraform", "variable"}
)
"""What `make synth` writes at the top of a stack. A module makes resources, `removed` leaves some behind."""

DATA = frozenset(f"digitalocean_{kind}" for kind in ("database_ca", "project", "spaces_bucket", "tag", "vpc"))
"""Data sources that are only looked up. `external` runs a program."""

_PROVIDER = "digitalocean"
_SOURCES = frozenset({"digitalocean/digitalocean", "registry.terraform.io/digitalocean/digitalocean"})
_PROVIDER_ARGUMENTS = frozenset({"http_retry_max", "requests_per_second"})
"""Another token or endpoint would be another account."""

_WAIT = {"interpreter": ["python3", "-m", "ops.wait_until_serving"], "working_dir": "../../.."}
"""The one program that an apply runs: constructs_lib/droplet_group.py."""


def unseen(stack: Json) -> Iterator[str]:
    """Yield what a stack holds that is neither a rule nor known to open no path."""
    yield from (
        f"{section}: what is in it is not read\n    `make synth` does not write it. Remove it."
        for section in sorted(stack.keys() - SECTIONS)
    )
    yield from _misshapen(stack)
    yield from _providers(stack)
    for kind in sorted({kind for kind, _, _ in written(stack, "data")} - DATA):
        yield (
            f"data.{kind}: not known whether it only looks something up\n"
            "    Add it to DATA in policies/presence360/unseen.py."
        )
    for section in ("resource", "data"):
        for kind, name, body in written(stack, section):
            address = f"{'data.' if section == 'data' else ''}{kind}.{name}"
            if "provider" in body:
                yield f"{address}: provider {body['provider']}: it may be another account's\n    Remove `provider`."
            if body.get("provisioner") and not (kind == "terraform_data" and _is_wait(body)):
                yield (
                    f"{address}: a provisioner runs a program, which may open anything\n"
                    "    Only the wait for a droplet may be there (constructs_lib/droplet_group.py)."
                )


def _misshapen(stack: Json) -> Iterator[str]:
    """Yield what is written in another of the forms that Terraform's JSON allows."""
    places = [(name, stack.get(name, {})) for name in ("data", "locals", "provider", "resource", "terraform")]
    for section in ("resource", "data"):
        for kind, bodies in entries(stack.get(section)):
            places.append((f"{section}.{kind}", bodies))
            places += [(f"{section}.{kind}.{name}", body) for name, body in entries(bodies)]
    for where, value in places:
        if not isinstance(value, dict):
            yield (
                f"{where}: {type(value).__name__} in place of an object\n    Write one object, as `make synth` does."
            )


def _providers(stack: Json) -> Iterator[str]:
    terraform = stack.get("terraform")
    required = terraform.get("required_providers") if isinstance(terraform, dict) else None
    for name, one in entries(required):
        source = one.get("source") if isinstance(one, dict) else one
        if name != _PROVIDER or source not in _SOURCES:
            yield f"required_providers.{name}: {source} is another provider\n    Remove it."
    for name, given in entries(stack.get("provider")):
        configured = given if isinstance(given, list) else [given]
        others = {
            word
            for one in configured
            for word in (one if isinstance(one, dict) else [type(one).__name__])
            if word not in _PROVIDER_ARGUMENTS | {"//"}
        }
        if name != _PROVIDER or len(configured) != 1 or others:
            said = f"{len(configured)} configurations" + (
                f", with {', '.join(sorted(others))}" if others else ""
            )
            yield (
                f"provider.{name}: {said}: it may be another account's\n"
                "    Write one, as constructs_lib/provider.py does; token and endpoint come from the environment."
            )


def _is_wait(body: Body) -> bool:
    """Tell whether a resource runs our own wait, without a shell and in the checkout, and nothing else."""
    provisioners = body["provisioner"]
    if not isinstance(provisioners, list) or len(provisioners) != 1 or "connection" in body:
        return False
    (one,) = provisioners
    local = one.get("local-exec") if isinstance(one, dict) and len(one) == 1 else None
    if not isinstance(local, dict) or local.keys() != _WAIT.keys() | {"command"}:
        return False
    interpreter = local["interpreter"]
    return (
        isinstance(interpreter, list)
        and interpreter[: len(_WAIT["interpreter"])] == _WAIT["interpreter"]
        and local["working_dir"] == _WAIT["working_dir"]
    )


def entries(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the entries of an object without Terraform's comments; none of anything else."""
    if isinstance(value, dict):
        yield from ((key, one) for key, one in value.items() if key != "//")


def written(stack: Json, section: str) -> Iterator[tuple[str, str, Body]]:
    """Yield kind, name and arguments of what a section holds; `unseen` names what has another form."""
    for kind, bodies in entries(stack.get(section)):
        yield from ((kind, name, body) for name, body in entries(bodies) if isinstance(body, dict))


_REGIONAL = "REGIONAL"
_NOT_READ = ("domains", "firewall", "glb_settings", "target_load_balancer_ids")
_OVER_TCP = frozenset({"http", "http2", "https", "tcp"})
"""Protocols of forwarding rules that are TCP at the port. http3 is not: QUIC is UDP (RFC 9114)."""


def another_way(balancer: Body, rules: Iterable[Body], text: Callable[[object], str] = str) -> Iterator[str]:
    """Yield what has a load balancer's packets take another way than the model knows.

    Args:
        balancer: its arguments.
        rules: its forwarding rules.
        text: returns the text that an argument stands for.
    """
    kind = text(balancer.get("type") or _REGIONAL)
    if kind != _REGIONAL:
        yield f"its type is {kind}: only {_REGIONAL} is read"
    for name in _NOT_READ:
        if _holds(balancer.get(name)):
            yield f"{name} is not read: remove it"
    for rule in rules:
        for name in ("entry_protocol", "target_protocol"):
            protocol = text(rule.get(name))
            if protocol not in _OVER_TCP:
                yield f"{name} {protocol}: only {', '.join(sorted(_OVER_TCP))} are read"


def _holds(value: object) -> bool:
    """Tell whether an argument says anything: a plan has empty lists where nothing is written."""
    if isinstance(value, dict):
        return any(map(_holds, value.values()))
    if isinstance(value, list):
        return any(map(_holds, value))
    return bool(value)


@whole_stack(
    121, Severity.CRITICAL, "A stack makes and runs nothing but what `make synth` writes",
    "Remove modules, `removed` blocks, provisioners, other providers and data sources that may do more than look up.",
    section=Section.NETWORK, shapes=frozenset({Shape.JSON}),
)  # fmt: skip
def nothing_unseen(stack: Stack) -> Iterator[tuple[str, list[str]]]:
    """No other rule would see what a module opens, or a program that an apply runs."""
    yield stack.name, [" ".join(problem.split()) for problem in unseen(stack.content)]


@each(
    BALANCER, 122, Severity.HIGH, "Load balancers are regional, and what they pass on is TCP",
    "Leave `type` out, and `domains`, `firewall`, `glb_settings` and `target_load_balancer_ids`: nobody reads them.",
    section=Section.NETWORK,
)  # fmt: skip
def regional(balancer: Resource) -> Iterator[str]:
    """A global one sends requests elsewhere, and its own firewall is not the droplets'."""
    yield from another_way(balancer.body, blocks(balancer.body, "forwarding_rule"))
