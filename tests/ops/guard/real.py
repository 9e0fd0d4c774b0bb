"""Terraform itself, with the real provider: what it plans for a situation that the builder makes a plan of as well."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.plans.planner import Situation
from lab.plans.resources import IGNORED, PROVIDER, SENSITIVE, Needs, Ref, key_of
from ops import terraform

# Blocks in the provider's schema; everything else is an attribute.
NESTED = frozenset({"rule", "versioning", "lifecycle_rule", "expiration", "noncurrent_version_expiration"})
# What is planned for real: everything that holds data, what guards it, and what it stands on.
KINDS = frozenset(
    {
        "digitalocean_database_cluster",
        "digitalocean_database_db",
        "digitalocean_database_firewall",
        "digitalocean_database_user",
        "digitalocean_domain",
        "digitalocean_project",
        "digitalocean_spaces_bucket",
        "digitalocean_volume",
        "digitalocean_vpc",
    }
)
# What else the provider keeps in a state: without it every plan would be an update.
ALSO: Mapping[str, Mapping[str, Any]] = {
    "digitalocean_database_cluster": {"metrics_endpoints": []},
    "digitalocean_project": {"is_default": False, "purpose": "Web Application", "resources": []},
    "digitalocean_volume": {"droplet_ids": []},
}


class Terraform(terraform.Terraform):
    """A folder with a configuration and a state."""

    def __init__(self, folder: Path) -> None:
        # Obviously false, and never sent: plans are made without refresh.
        credentials = {
            "DIGITALOCEAN_TOKEN": "not-a-token",
            "SPACES_ACCESS_KEY_ID": "not-a-key",
            "SPACES_SECRET_ACCESS_KEY": "not-a-secret",
        }
        super().__init__(folder, {**os.environ, **credentials})

    def prepare(self) -> str:
        """Prepare the folder; return why it cannot be, or nothing."""
        self._configure({})
        ended = self.run("init", "-input=false")
        return "" if ended.returncode == 0 else " ".join(ended.stderr.split())[:200]

    def plan_of(self, it: Situation) -> dict[str, Any]:
        """Return what `terraform show -json` says of a situation, whether planning ended well or not."""
        self._configure(_configuration(it))
        (self.folder / "terraform.tfstate").write_text(json.dumps(_state(it)), encoding="utf-8")
        (self.folder / "planned").unlink(missing_ok=True)
        arguments = ["-destroy"] if it.destroy else []
        arguments += [f"-replace={address}" for address in sorted(it.replaced)]
        ended = self.run("plan", "-refresh=false", "-input=false", "-out=planned", *arguments)
        shown = self.run("show", "-json", "planned")
        assert shown.returncode == 0, ended.stderr
        plan: dict[str, Any] = json.loads(shown.stdout)
        assert plan["errored"] is False, ended.stderr
        return plan

    def _configure(self, blocks: Mapping[str, Any]) -> None:
        required = {"digitalocean": {"source": "digitalocean/digitalocean", "version": ">= 2.99.1, < 3.0.0"}}
        text = json.dumps({"terraform": {"required_providers": required}, **blocks}, indent=1)
        (self.folder / "main.tf.json").write_text(text, encoding="utf-8")


def only_kinds(it: Situation) -> Situation:
    """Leave out of a situation what is not planned for real."""
    it.there = {address: one for address, one in it.there.items() if one.kind in KINDS}
    it.wanted = {address: one for address, one in it.wanted.items() if one.kind in KINDS}
    it.moves = [(start, to) for start, to in it.moves if start.partition(".")[0] in KINDS]
    it.tenants_there, it.tenants_wanted = {}, {}
    return it


def _configuration(it: Situation) -> dict[str, Any]:
    resources: dict[str, dict[str, Any]] = {}
    maps: dict[str, dict[str, Any]] = {}
    for one in it.wanted.values():
        body = {
            name: _expression(wish)
            for name, wish in one.attributes.items()
            if not (name in NESTED and not wish)
        }
        nested = {name: body.pop(name) for name in list(body) if name in NESTED}
        body = {name: value for name, value in body.items() if value != []}
        lifecycle = {"ignore_changes": sorted(IGNORED[one.kind])} if one.kind in IGNORED else {}
        block = resources.setdefault(one.kind, {})
        if one.key is None:
            block[one.block] = {**body, **nested, "lifecycle": lifecycle}
            continue
        local = f"{one.kind}-{one.block}"
        maps.setdefault(local, {})[str(one.key)] = body
        counted = isinstance(one.key, int)
        at = f"local.{local}[tostring(count.index)]" if counted else "each.value"
        block[one.block] = {
            **{name: f"${{{at}.{name}}}" for name in body},
            **nested,
            "lifecycle": lifecycle,
            **({"count": len(maps[local])} if counted else {"for_each": f"${{local.{local}}}"}),
        }
    for empty in it.empty_blocks:
        kind, _, name = empty.partition(".")
        if kind in KINDS and name not in resources.get(kind, {}) and empty not in it.removed:
            resources.setdefault(kind, {})[name] = {"for_each": {}, "name": "x", "cluster_id": "x"}
    configuration: dict[str, Any] = {"resource": resources} if resources else {}
    if maps:
        configuration["locals"] = maps
    if it.moves:
        configuration["moved"] = [{"from": start, "to": to} for start, to in it.moves]
    if it.removed:
        configuration["removed"] = [
            {"from": one, "lifecycle": {"destroy": False}} for one in sorted(it.removed)
        ]
    return configuration


def _expression(wish: Any) -> Any:
    if isinstance(wish, Ref):
        return f"${{{wish.address}.{wish.attribute}}}"
    if isinstance(wish, Needs):
        return wish.value
    if isinstance(wish, list):
        return [_expression(one) for one in wish]
    return {name: _expression(one) for name, one in wish.items()} if isinstance(wish, dict) else wish


def _state(it: Situation) -> dict[str, Any]:
    resources: dict[tuple[str, str], dict[str, Any]] = {}
    for address, one in it.there.items():
        entry = resources.setdefault(
            (one.kind, one.block),
            {
                "mode": "managed",
                "type": one.kind,
                "name": one.block,
                "provider": f'provider["{PROVIDER}"]',
                "instances": [],
            },
        )
        instance = {
            "schema_version": 0,
            "attributes": {**ALSO.get(one.kind, {}), **one.attributes},
            "sensitive_attributes": [
                [{"type": "get_attr", "value": name}] for name in sorted(SENSITIVE.get(one.kind, ()))
            ],
            **({} if one.key is None else {"index_key": key_of(address)}),
        }
        entry["instances"].append({**instance, **({"status": "tainted"} if address in it.tainted else {})})
        if address in it.deposed:
            entry["instances"].append({**instance, "deposed": "deadbeef"})
    return {"version": 4, "serial": 1, "lineage": "made-up", "resources": list(resources.values())}
