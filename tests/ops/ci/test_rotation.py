"""A rotation as a pull request: what is committed, and that a second request finds the first."""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.ci.github import Repository
from ops.ci.rotation import ENVIRONMENT, FINISH, TENANT, propose
from ops.errors import UsageError
from ops.refused import RefusedError
from tests.model.workspace import Workspace
from tests.ops.command.conftest import commit

GRACE = "3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"
BRANCH = f"rotate/staging-{GRACE}-g2"


@dataclass
class GitHub:
    """The part of GitHub's REST API that a proposal calls, with a memory."""

    refs: dict[str, str] = field(default_factory=dict)
    trees: list[dict[str, Any]] = field(default_factory=list)
    commits: list[dict[str, Any]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, method: str, target: str, body: dict[str, Any]) -> Any:  # noqa: PLR0911 (one a route)
        split = urlsplit(target)
        path = split.path.removeprefix("/repos/church/infrastructure/")
        if (method, path) == ("GET", "pulls"):
            wanted = parse_qs(split.query)["head"][0].partition(":")[2]
            return [pull for pull in self.pulls if pull["head"] == wanted and pull["state"] == "open"]
        if (method, path) == ("POST", "git/trees"):
            self.trees.append(body)
            return {"sha": f"tree{len(self.trees)}"}
        if (method, path) == ("POST", "git/commits"):
            self.commits.append(body)
            return {"sha": f"commit{len(self.commits)}"}
        if method == "GET" and path.startswith("git/matching-refs/"):
            prefix = f"refs/{path.removeprefix('git/matching-refs/')}"
            return [{"ref": ref} for ref in self.refs if ref.startswith(prefix)]
        if (method, path) == ("POST", "git/refs"):
            self.refs[body["ref"]] = body["sha"]
            return {}
        if method == "PATCH" and path.startswith("git/refs/"):
            self.refs[f"refs/{path.removeprefix('git/refs/')}"] = body["sha"]
            return {}
        assert (method, path) == ("POST", "pulls")
        self.pulls.append(
            {**body, "number": 7 + len(self.pulls), "state": "open", "html_url": "https://github.example/7"}
        )
        return self.pulls[-1]


@pytest.fixture
def github() -> Iterator[tuple[GitHub, Repository]]:
    hub = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = json.dumps(hub.answer(self.command, self.path, json.loads(sent or b"{}"))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hub, Repository(f"http://127.0.0.1:{server.server_port}", "church/infrastructure", "not-a-token")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    Workspace.copy(tmp_path, "staging", "production")
    commit(tmp_path)
    return tmp_path


def asked(tenant: str = "grace", *, environment: str = "staging", finish: str = "false") -> dict[str, str]:
    return {ENVIRONMENT: environment, TENANT: tenant, FINISH: finish}


def reset(checkout: Path) -> None:
    subprocess.run(["git", "-C", checkout, "reset", "--quiet", "--hard"], check=True)
    subprocess.run(["git", "-C", checkout, "clean", "--quiet", "--force", "-d"], check=True)


def test_the_edit_is_committed_to_a_branch_and_proposed(
    github: tuple[GitHub, Repository], checkout: Path
) -> None:
    hub, repository = github
    assert propose(repository, checkout, asked()) == "opened pull request 7: https://github.example/7"
    (pull,) = hub.pulls
    assert (pull["title"], pull["head"], pull["base"]) == (
        "Rotate the credentials of grace in staging",
        BRANCH,
        "main",
    )
    assert "presence360 tenant rotate staging grace --finish" in pull["body"]
    (tree,) = hub.trees
    (file,) = tree["tree"]
    assert file["path"] == "environments/staging/tenants.yaml"
    assert file["content"] == (checkout / "environments/staging/tenants.yaml").read_text(encoding="utf-8")
    assert "credentials: {generation: 2, keep: [1]}" in file["content"]
    head = subprocess.run(
        ["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert hub.commits == [
        {"message": pull["title"], "tree": "tree1", "parents": [head.stdout.strip()]},
    ]
    assert tree["base_tree"] == head.stdout.strip()
    assert hub.refs == {f"refs/heads/{BRANCH}": "commit1"}


def test_a_second_request_finds_the_first(github: tuple[GitHub, Repository], checkout: Path) -> None:
    hub, repository = github
    propose(repository, checkout, asked())
    reset(checkout)
    assert propose(repository, checkout, asked(GRACE)) == (
        "pull request 7 is open already: https://github.example/7"
    )
    assert len(hub.commits) == len(hub.pulls) == 1


def test_a_branch_that_a_closed_pull_request_left_is_used_again(
    github: tuple[GitHub, Repository], checkout: Path
) -> None:
    hub, repository = github
    hub.refs[f"refs/heads/{BRANCH}"] = "old"
    # A longer name, which GitHub lists as well.
    hub.refs[f"refs/heads/{BRANCH}0"] = "other"
    propose(repository, checkout, asked())
    assert hub.refs == {f"refs/heads/{BRANCH}": "commit1", f"refs/heads/{BRANCH}0": "other"}


def test_the_end_of_a_rotation_has_a_branch_of_its_own(
    github: tuple[GitHub, Repository], checkout: Path
) -> None:
    hub, repository = github
    propose(repository, checkout, asked())
    commit(checkout)
    propose(repository, checkout, asked(finish="true"))
    assert [pull["head"] for pull in hub.pulls] == [BRANCH, f"{BRANCH}-finish"]
    assert "Finish the rotation of grace in staging" in hub.pulls[1]["title"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (asked("nobody"), "there is no tenant with the slug 'nobody'"),
        (asked(environment="../../etc"), "there is no environment '../../etc'"),
        (asked("$(id); echo"), "there is no tenant with the slug '$(id); echo'"),
        (asked(finish="true"), "grace keeps no earlier generation of credentials"),
    ],
)
def test_inputs_are_checked_before_github_hears_of_them(
    github: tuple[GitHub, Repository], checkout: Path, inputs: dict[str, str], told: str
) -> None:
    hub, repository = github
    with pytest.raises(RefusedError) as refused:
        propose(repository, checkout, inputs)
    assert told in str(refused.value)
    assert hub == GitHub()


def test_an_input_that_is_missing_is_said(checkout: Path) -> None:
    with pytest.raises(UsageError, match="ROTATE_TENANT is not set"):
        propose(Repository("", "", ""), checkout, {ENVIRONMENT: "staging"})
