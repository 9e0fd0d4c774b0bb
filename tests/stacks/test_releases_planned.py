"""What Terraform and the real provider plan for an edit, when all that staging has is there already."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model.loader import load_environments
from model.plan import plan_environment
from stacks.app import synthesize
from tests.support import ENVIRONMENTS

# References between what is made up below settle within a few plans.
MOST_PLANS = 8
_REFERENCE = re.compile(r"\b([a-z_]+)\.([\w-]+)")


class _Api(BaseHTTPRequestHandler):
    """The only request of a plan without refresh: a data source, the cluster's certificate authority."""

    def do_GET(self) -> None:
        ca = self.path.startswith("/v2/databases/") and self.path.endswith("/ca")
        body = json.dumps(
            {"ca": {"certificate": base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()}}
        )
        self.send_response(200 if ca else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


class Staging:
    """The staging stack in Terraform's hands, with a state in which every resource exists as it is wanted."""

    def __init__(self, folder: Path, api: str) -> None:
        plans = [plan_environment(environment) for environment in load_environments(ENVIRONMENTS)]
        synthesize(plans, folder / "cdktf.out", local_state=True)
        self.folder = folder / "cdktf.out" / "stacks" / "staging"
        self._state = folder / "terraform.staging.tfstate"
        self.stack: dict[str, Any] = json.loads((self.folder / "cdk.tf.json").read_text())
        self._environ = {
            **os.environ,
            **{f"TF_VAR_{name}": "x" for name in self.stack["variable"]},
            "CHECKPOINT_DISABLE": "1",
            "DIGITALOCEAN_TOKEN": "token",
            "DIGITALOCEAN_API_URL": api,
            "SPACES_ACCESS_KEY_ID": "x",
            "SPACES_SECRET_ACCESS_KEY": "x",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def changes(self, stack: dict[str, Any]) -> list[dict[str, Any]]:
        """Plan a stack; return what would change."""
        (self.folder / "cdk.tf.json").write_text(json.dumps(stack, indent=1))
        planned = self.run("plan", "-refresh=false", "-input=false", "-out=planned")
        assert planned.returncode == 0, planned.stderr
        shown = json.loads(self.run("show", "-json", "planned").stdout)
        return [
            change
            for change in shown.get("resource_changes", [])
            if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
        ]

    def actions(self, stack: dict[str, Any]) -> dict[str, list[str]]:
        return {change["address"]: change["change"]["actions"] for change in self.changes(stack)}

    def _references(self, kind: str, name: str) -> list[str]:
        """What a resource refers to: in a state it decides in which order Terraform destroys."""
        text = json.dumps(self.stack["resource"][kind][name])
        found = {f"{reference[1]}.{reference[2]}" for reference in _REFERENCE.finditer(text)}
        return sorted(
            f"{other}.{one}"
            for other, bodies in self.stack["resource"].items()
            for one in bodies
            if f"{other}.{one}" in found
        )

    def exist(self) -> None:
        """Make a state up: what is planned is done, and what only DigitalOcean knows gets some value."""
        schemas = json.loads(self.run("providers", "schema", "-json").stdout)["provider_schemas"]
        # On the way resources refer to what is not made up yet, and the plan may replace what must not be.
        loose = json.loads(json.dumps(self.stack))
        for bodies in loose["resource"].values():
            for body in bodies.values():
                body.get("lifecycle", {}).pop("prevent_destroy", None)
        known: dict[str, dict[str, Any]] = {}
        for _ in range(MOST_PLANS):
            changes = self.changes(loose)
            if not changes:
                return
            for change in changes:
                schema = schemas[change["provider_name"]]["resource_schemas"][change["type"]]
                instance = _instance(change, schema)
                instance["instances"][0]["dependencies"] = self._references(change["type"], change["name"])
                known[change["address"]] = instance
            state = {"version": 4, "serial": 1, "lineage": "made-up", "resources": list(known.values())}
            self._state.write_text(json.dumps(state))
        raise AssertionError([change["address"] for change in changes])


def _instance(change: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    after, unknown = change["change"]["after"], change["change"]["after_unknown"]
    attributes = _filled(after, unknown, schema["block"], change["address"])
    if change["type"] == "terraform_data":
        triggers = attributes["triggers_replace"]
        kind = ["object", dict.fromkeys(triggers, "string")]
        attributes["triggers_replace"] = {"value": triggers, "type": kind}
    sensitive = change["change"]["after_sensitive"]
    instance = {
        "schema_version": schema["version"],
        "attributes": attributes,
        "sensitive_attributes": [
            [{"type": "get_attr", "value": name}] for name, is_so in sensitive.items() if is_so is True
        ],
        **({"index_key": change["index"]} if "index" in change else {}),
    }
    return {
        "mode": "managed",
        "type": change["type"],
        "name": change["name"],
        **({"each": "map"} if "index" in change else {}),
        "provider": f'provider["{change["provider_name"]}"]',
        "instances": [instance],
    }


def _filled(after: Any, unknown: Any, block: dict[str, Any], address: str) -> dict[str, Any]:
    filled = dict(after or {})
    for name, is_unknown in unknown.items():
        if name in block.get("attributes", {}):
            if is_unknown is True:
                kind = block["attributes"][name]["type"]
                filled[name] = _some(kind, f"{address}.{name}")
            elif isinstance(is_unknown, list):
                filled[name] = [
                    f"{address}.{name}.{index}" if one is True else filled[name][index]
                    for index, one in enumerate(is_unknown)
                ]
            elif is_unknown:
                filled[name] = {
                    key: f"{address}.{name}.{key}" if one else filled[name][key]
                    for key, one in is_unknown.items()
                } | (filled.get(name) or {})
        elif is_unknown is True:
            filled[name] = []
        elif isinstance(is_unknown, list):
            inner = block["block_types"][name]["block"]
            filled[name] = [
                _filled(
                    one, is_unknown[index] if index < len(is_unknown) else {}, inner, f"{address}.{index}"
                )
                for index, one in enumerate(filled[name])
            ]
    if "certificate_id" in filled:
        # The provider keeps the name there, because a renewal changes the id (its loadbalancer.go).
        filled["certificate_id"] = filled["certificate_name"]
    return filled


def _some(kind: Any, text: str) -> Any:
    plain = {"string": text.replace("[", "-").replace("]", "").replace('"', ""), "number": 1, "bool": False}
    return plain[kind] if isinstance(kind, str) else {} if kind[0] in {"map", "object"} else []


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not on the PATH")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    staging = Staging(tmp_path_factory.mktemp("planned"), f"http://127.0.0.1:{server.server_address[1]}")
    initialized = staging.run("init", "-input=false")
    if "Failed to query available provider packages" in initialized.stderr:
        pytest.skip(f"terraform init finds no provider here: {' '.join(initialized.stderr.split())[:200]}")
    assert initialized.returncode == 0, initialized.stderr
    staging.exist()
    yield staging
    server.shutdown()
    server.server_close()


def edited(staging: Staging, kind: str, path: str, attribute: str, before: str, after: str) -> dict[str, Any]:
    """The stack with a piece of one attribute replaced; the resource is named by its construct's path."""
    stack: dict[str, Any] = json.loads(json.dumps(staging.stack))
    (body,) = [
        body
        for body in stack["resource"][kind].values()
        if body["//"]["metadata"]["path"] == f"staging/{path}"
    ]
    # The user data of a group stands in a local.
    local = re.fullmatch(r"\$\{local\.([\w-]+)\}", body[attribute])
    holder, key = (stack["locals"], local[1]) if local else (body, attribute)
    assert before in holder[key]
    holder[key] = holder[key].replace(before, after)
    return stack


def test_nothing_changes_without_an_edit(staging: Staging) -> None:
    assert staging.changes(staging.stack) == []


def test_a_release_is_planned_as_one_changed_object(staging: Staging) -> None:
    stack = edited(
        staging,
        "digitalocean_spaces_bucket_object",
        "config-worker/release-json",
        "content",
        "1.4.2",
        "1.4.3",
    )
    (body,) = [
        one
        for one in stack["resource"]["digitalocean_spaces_bucket_object"].values()
        if one["//"]["metadata"]["path"] == "staging/config-worker/release-json"
    ]
    body["etag"] = hashlib.md5(body["content"].encode(), usedforsecurity=False).hexdigest()
    (change,) = staging.changes(stack)
    assert change["address"].startswith("digitalocean_spaces_bucket_object.config-worker_release-json_")
    assert change["change"]["actions"] == ["update"]
    before, after = change["change"]["before"], change["change"]["after"]
    assert {name for name in after if after[name] != before[name]} == {"content", "etag"}
    assert change["change"]["after_unknown"] == {"version_id": True}


def test_a_droplet_is_planned_to_go_after_its_successor_came(staging: Staging) -> None:
    stack = edited(
        staging,
        "digitalocean_droplet",
        "group-app/1",
        "user_data",
        "#cloud-config",
        "#cloud-config\n# edited",
    )
    actions = staging.actions(stack)
    kinds = {address.split(".")[0]: found for address, found in actions.items()}
    assert kinds == {
        "digitalocean_droplet": ["create", "delete"],
        "terraform_data": ["create", "delete"],
        "digitalocean_project_resources": ["update"],
    }
    assert len(actions) == 3


def test_what_waits_lies_between_the_two_droplets_in_terraforms_own_order(staging: Staging) -> None:
    stack = edited(
        staging,
        "digitalocean_droplet",
        "group-app/1",
        "user_data",
        "#cloud-config",
        "#cloud-config\n# edited",
    )
    staging.actions(stack)
    droplet = next(
        name for name in stack["resource"]["digitalocean_droplet"] if name.startswith("group-app_1")
    )
    wait = next(
        name for name in stack["resource"]["terraform_data"] if name.startswith("group-app_serving-1")
    )
    graph = staging.run("graph", "-plan=planned", "-type=apply")
    assert graph.returncode == 0, graph.stderr
    edges = set()
    for line in graph.stdout.splitlines():
        if " -> " in line:
            source, target = line.strip().removesuffix(";").split(" -> ")
            edges.add((source.strip('"'), target.strip('"')))

    def reaches(source: str, target: str) -> bool:
        seen, pending = set(), [source]
        while pending:
            node = pending.pop()
            if node == target:
                return True
            if node not in seen:
                seen.add(node)
                pending += [to for here, to in edges if here == node]
        return False

    nodes = {node for edge in edges for node in edge}
    (old,) = [node for node in nodes if f"digitalocean_droplet.{droplet}" in node and "(destroy" in node]
    (new,) = [node for node in nodes if node.endswith(f"digitalocean_droplet.{droplet}")]
    (waiting,) = [node for node in nodes if node.endswith(f"terraform_data.{wait}")]
    # An edge leads to what has to be done before.
    assert reaches(old, waiting)
    assert reaches(waiting, new)
    assert not reaches(waiting, old)
