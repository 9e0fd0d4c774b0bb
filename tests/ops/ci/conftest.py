"""A small deployment that real Terraform plans and applies with its built-in provider, and a GitHub on loopback."""

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.ci import plans
from ops.ci.github import BOT, Repository
from ops.ci.guard import Review
from ops.plan_json import Plan
from ops.terraform import Terraform

SECRET = "correct-horse-battery-staple"


@dataclass
class Deployment:
    """Stacks of `terraform_data` with local state; ``edit`` changes what one of them asks for."""

    outdir: Path
    refused: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.outdir / "plans"

    def edit(self, stack: str, value: str, *, postcondition: bool = True, seconds: int = 0) -> None:
        """Have a stack hold a value; with a false postcondition its plan is fine and its apply fails."""
        resource: dict[str, Any] = {"input": [value, "${var.secret}"]}
        if not postcondition:
            resource["lifecycle"] = {
                "postcondition": [
                    {"condition": '${self.id == ""}', "error_message": "it fails as it is applied"}
                ]
            }
        if seconds:
            resource["provisioner"] = [{"local-exec": {"command": f"exec sleep {seconds}"}}]
        program = {
            "terraform": {"backend": {"local": {"path": f"../../{stack}.tfstate"}}},
            "variable": {"secret": {"type": "string", "sensitive": True}},
            "resource": {"terraform_data": {"thing": resource}},
        }
        file = self.outdir / "stacks" / stack / "cdk.tf.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(program), encoding="utf-8")

    def opened(self, stack: str, *, secret: bool = True) -> Terraform:
        environ = {**os.environ, **({"TF_VAR_secret": SECRET} if secret else {})}
        terraform = Terraform(self.outdir / "stacks" / stack, environ)
        terraform.init()
        return terraform

    def plan(self, *stacks: str) -> plans.Outcome:
        return plans.plan(stacks, self.opened, self.folder, root=self.outdir, lock=True)

    def apply(self, digest: str = "", opened: Callable[[str], Terraform] | None = None) -> list[str]:
        record = plans.Record.read(self.folder, digest)
        return list(plans.apply(record, opened or self.opened, self.folder, root=self.outdir))

    def holds(self, stack: str) -> str | None:
        """What a stack's state holds; None: nothing was ever applied."""
        state = self.outdir / f"{stack}.tfstate"
        if not state.exists():
            return None
        resources = json.loads(state.read_text(encoding="utf-8"))["resources"]
        held: str = resources[0]["instances"][0]["attributes"]["output"]["value"][0]
        return held


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed: what CI plans and applies with it is not tested")
    deployment = Deployment(tmp_path)
    for stack in ("demo", "demo-cell-2"):
        deployment.edit(stack, "first")

    def review(
        shown: Sequence[Plan], *, base: str, unplanned: Sequence[str], exists: Mapping[str, Sequence[str]]
    ) -> Review:
        assert deployment.folder.stat().st_mode & 0o077 == 0, "plans hold secrets: nobody else may read them"
        assert (base, exists) == ("", {})
        said = "".join(
            f"{plan.stack}: {' '.join(change.actions[0] for change in plan.changes)}\n" for plan in shown
        ) + "".join(f"{stack}: not planned\n" for stack in unplanned)
        return Review(said, said, not deployment.refused.isdisjoint(plan.stack for plan in shown))

    monkeypatch.setattr(plans, "review", review)
    return deployment


@dataclass
class GitHub:
    """The part of GitHub's REST API that the steps call, with a memory. The local DigitalOcean does not play it."""

    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    commits: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def answer(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, Any]:
        split = urlsplit(target)
        path, query = split.path.removeprefix("/repos/church/infrastructure/"), parse_qs(split.query)
        self.calls.append(f"{method} {path}")
        for route, method_, act in (
            (r"pulls", "GET", lambda _: self._page(self.pulls, query)),
            (r"issues/\d+/comments", "GET", lambda _: self._page(self.comments, query)),
            (r"issues/\d+/comments", "POST", lambda _: self._add(self.comments, body)),
            (r"issues/comments/(\d+)", "PATCH", lambda found: self._change(self.comments, found[1], body)),
            (r"issues", "GET", lambda _: self._page([i for i in self.issues if i["state"] == "open"], query)),
            (r"issues", "POST", lambda _: self._add(self.issues, body)),
            (r"issues/(\d+)", "PATCH", lambda found: self._change(self.issues, found[1], body)),
            (r"commits/(\w+)", "GET", lambda found: {"sha": self.commits[found[1]]}),
        ):
            if method == method_ and (match := re.fullmatch(route, path)):
                return 200, act(match)
        return 404, {"message": "Not Found"}

    @staticmethod
    def _page(things: list[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return things[(page - 1) * size : page * size]

    @staticmethod
    def _add(things: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        number = 1000 + len(things)
        things.append({"id": number, "number": number, "state": "open", "user": {"login": BOT}, **body})
        return things[-1]

    @staticmethod
    def _change(things: list[dict[str, Any]], number: str, body: dict[str, Any]) -> dict[str, Any]:
        (found,) = (thing for thing in things if thing["id"] == int(number))
        found.update(body)
        return found


@pytest.fixture
def github() -> Iterator[tuple[GitHub, Repository]]:
    hub = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.handle_call("GET")

        def do_POST(self) -> None:
            self.handle_call("POST")

        def do_PATCH(self) -> None:
            self.handle_call("PATCH")

        def handle_call(self, method: str) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers["Authorization"] != "Bearer not-a-token":
                code, answer = 401, {"message": "Bad credentials"}
            else:
                code, answer = hub.answer(method, self.path, json.loads(sent or b"{}"))
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hub, Repository(f"http://127.0.0.1:{server.server_port}", "church/infrastructure", "not-a-token")
    server.shutdown()
    server.server_close()
    thread.join()
