"""Helpers that tests share. A synthesized stack is read as JSON: what Terraform gets is what is asserted."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.droplets import TENANTS_KEY
from model.loader import load_environments
from model.plan import plan_environment
from stacks.app import synthesize

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = ROOT / "tests" / "environments"
"""The operators' files that tests read, so that an edit of the live ones changes no test."""

LIVE_ENVIRONMENTS = ROOT / "environments"
"""The operators' own; only a test marked `live` may read them."""

OBSERVED_BY_WORKER = (
    ("\n  group: app\n", "\n  group: worker\n"),
    ("size: s-2vcpu-2gb\n", "size: s-4vcpu-8gb\n"),
)
"""Edits of staging after which the group app may have several droplets: the worker keeps the metrics."""

Resource = dict[str, Any]


def synthesize_folder(environments: Path, outdir: Path, *, local_state: bool = False) -> None:
    """Do what main.py does, in this process: a second synth takes milliseconds."""
    plans = [plan_environment(environment) for environment in load_environments(environments)]
    outdir.parent.mkdir(parents=True, exist_ok=True)
    synthesize(plans, outdir, local_state=local_state)


def write_lives(folder: Path) -> Path:
    """Write operators' files with a tenant in every state: staging's, a further cell, and tests/lives/tenants.yaml."""
    staging = folder / "staging"
    staging.mkdir(parents=True)
    text = (ENVIRONMENTS / "staging/environment.yaml").read_text(encoding="utf-8")
    cell = '{size: db-s-2vcpu-4gb, nodes: 2, version: "17", maintenance: {day: tuesday, hour: "04:00"}}'
    assert text.count("  clusters:\n") == 1
    text = text.replace("  clusters:\n", f"  cells:\n    cell-2: {cell}\n  clusters:\n")
    (staging / "environment.yaml").write_text(text, encoding="utf-8")
    tenants = (ROOT / "tests/lives/tenants.yaml").read_text(encoding="utf-8")
    (staging / "tenants.yaml").write_text(tenants, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Stack:
    """A synthesized stack.

    Attributes:
        name: the stack's name.
        json: what Terraform reads, without cdktf's comments.
    """

    name: str
    json: dict[str, Any]

    @classmethod
    def read(cls, outdir: Path, name: str) -> "Stack":
        text = (outdir / "stacks" / name / "cdk.tf.json").read_text(encoding="utf-8")
        return cls(name, without_comments(json.loads(text)))

    def all(self, kind: str) -> dict[str, Resource]:
        """Resources of a kind by address; ``kind`` without the provider's prefix."""
        resources: dict[str, Resource] = self.json["resource"].get(f"digitalocean_{kind}", {})
        return resources

    def named(self, kind: str, name: str) -> Resource:
        """The one resource of a kind with a physical name."""
        found = [resource for resource in self.all(kind).values() if resource.get("name") == name]
        assert len(found) == 1, f"{len(found)} of {kind} are named {name}: {sorted(self.all(kind))}"
        return found[0]

    def only(self, kind: str) -> Resource:
        """The one resource of a kind."""
        (resource,) = self.all(kind).values()
        return resource

    def follow(self, expression: str) -> Resource:
        """The resource that ``${kind.address.attribute}`` refers to."""
        match = re.fullmatch(r"\$\{(\w+)\.([\w-]+)\.\w+\}", expression)
        assert match, f"{expression} is not a plain reference"
        resource: Resource = self.json["resource"][match[1]][match[2]]
        return resource

    def names(self, expressions: list[str]) -> list[str]:
        """The physical names of what is referred to."""
        return [self.follow(expression)["name"] for expression in expressions]

    def local(self, expression: str) -> Any:
        """The value that ``${local.name}`` refers to."""
        match = re.fullmatch(r"\$\{local\.([\w-]+)\}", expression)
        assert match, f"{expression} is not a local"
        return self.json["locals"][match[1]]

    def at(self, path: str) -> Resource:
        """The one resource at a path of constructs below the stack: ``tenant-plane/databases/database``."""
        found = [
            body
            for kind in self.json["resource"].values()
            for address, body in kind.items()
            if address.rpartition("_")[0] == path.replace("/", "_")
        ]
        assert len(found) == 1, f"{len(found)} resources are at {path}"
        resource: Resource = found[0]
        return resource

    def keys(self, path: str) -> set[str]:
        """The keys of a resource's instances, whether they stand in a local map or one is left out of another."""
        return set(self.entries(self.at(path)["for_each"]))

    def entries(self, expression: str) -> dict[str, Any]:
        """What a `for_each` runs over."""
        value = self.local(expression)
        if isinstance(value, dict):
            whole: dict[str, Any] = value
            return whole
        # constructs_lib/tenant_databases.py, `_without`.
        match = re.fullmatch(
            r"\$\{\{ for id, tenant in local\.([\w-]+) : id => tenant if !contains\(local\.([\w-]+), id\) \}\}",
            value,
        )
        assert match, f"{value} is not a map without some of its entries"
        left_out: list[str] = self.json["locals"][match[2]]
        whole = self.json["locals"][match[1]]
        return {key: entry for key, entry in whole.items() if key not in left_out}

    @property
    def moved(self) -> dict[str, str]:
        """Where each moved address goes."""
        return {move["from"]: move["to"] for move in self.json["moved"]}

    @property
    def tenants(self) -> dict[str, dict[str, str]]:
        """The stack's tenants by id, as the directory has them."""
        found: dict[str, dict[str, str]] = self.local(self.at("control-plane/registry/tenant")["for_each"])
        return found

    def take_slugs(self) -> set[str]:
        """Remove the list of host names that nginx serves, and its digest in the manifest; return the list."""
        (body,) = (one for one in self.all("spaces_bucket_object").values() if one.get("key") == TENANTS_KEY)
        text = body.pop("content")
        del body["etag"]
        digest = hashlib.sha256(text.encode()).hexdigest()
        values = self.json["locals"]
        (manifest,) = (name for name, value in values.items() if digest in str(value))
        values[manifest] = values[manifest].replace(digest, "")
        return set(json.loads(text)["slugs"])

    def droplet(self, name: str) -> Resource:
        """A droplet by its name without the generation: ``staging-app-1``."""
        found = [
            droplet for droplet in self.all("droplet").values() if droplet["name"].rpartition("-")[0] == name
        ]
        assert len(found) == 1, f"{len(found)} droplets are called {name}"
        return found[0]

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.json["output"]
        return found

    @property
    def addresses(self) -> set[str]:
        """Every resource block."""
        return {f"{kind}.{name}" for kind, blocks in self.json["resource"].items() for name in blocks}


def without_comments(value: Any) -> Any:
    """Drop cdktf's ``//`` metadata, which says nothing to Terraform."""
    if isinstance(value, dict):
        return {key: without_comments(child) for key, child in value.items() if key != "//"}
    if isinstance(value, list):
        return [without_comments(child) for child in value]
    return value
