"""Whether the images of a release exist, asked of a registry that speaks the OCI distribution API."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from model.loader import Environment
from model.plan import EnvironmentPlan, plan_environment
from ops.preflight import images
from ops.preflight.finding import Checked

TOKEN, DIGEST = "registry-token", f"sha256:{'ab' * 32}"


@dataclass
class Hub:
    """A registry with these images."""

    known: set[str] = field(default_factory=set)
    challenge: str = "bearer"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            given = self.headers.get("Authorization", "")
            hub.asked.append(self.path)
            if hub.challenge == "bearer" and given != "Bearer granted":
                realm = f'Bearer realm="http://127.0.0.1:{hub.port}/token",service="hub",scope="repository:x:pull"'
                self.answer(401, {"WWW-Authenticate": realm})
            elif hub.challenge == "basic" and given != basic("robot"):
                self.answer(401, {"WWW-Authenticate": 'Basic realm="hub"'})
            elif hub.challenge == "strange":
                self.answer(401, {"WWW-Authenticate": 'Bearer realm="http://elsewhere.example/token"'})
            else:
                self.answer(200 if self.path in hub.known else 404)

        def do_GET(self) -> None:
            hub.logins.append(self.headers.get("Authorization", ""))
            assert parse_qs(urlsplit(self.path).query)["service"] == ["hub"]
            allowed = self.headers.get("Authorization") in {basic(TOKEN), basic("robot")}
            self.answer(200 if allowed else 401, body=json.dumps({"token": "granted"}).encode())

        def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


def basic(username: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{TOKEN}".encode()).decode()


@pytest.fixture
def plan(staging: Environment, hub: Hub) -> EnvironmentPlan:
    url = f"127.0.0.1:{hub.port}/church"
    registry = staging.file.registry.model_copy(update={"url": url})
    releases = {**staging.file.releases, "worker": DIGEST}
    file = staging.file.model_copy(update={"registry": registry, "releases": releases})
    found = plan_environment(replace(staging, file=file))
    for group in found.groups:
        for reference in group.config.images.values():
            name, version = reference.removeprefix(f"127.0.0.1:{hub.port}/").split(
                "@" if "@" in reference else ":"
            )
            hub.known.add(f"/v2/{name}/manifests/{version}")
    return found


def environ(plan: EnvironmentPlan, token: str = TOKEN) -> dict[str, str]:
    return {f"TF_VAR_{plan.registry.token_variable}": token}


def test_each_image_is_asked_for_by_tag_or_digest(plan: EnvironmentPlan, hub: Hub) -> None:
    found = images.check(plan, environ(plan))
    assert (found.problems, found.notes) == ((), ())
    assert set(hub.asked) == hub.known
    assert any(path.endswith(DIGEST) for path in hub.asked)
    # DigitalOcean's registry takes the token as the user name, too.
    assert set(hub.logins) == {basic(TOKEN)}


def test_an_image_that_is_missing_names_the_line_of_the_file(plan: EnvironmentPlan, hub: Hub) -> None:
    hub.known.remove(next(path for path in hub.known if path.endswith(DIGEST)))
    (problem,) = images.check(plan, environ(plan)).problems
    assert problem.startswith("staging: releases.worker: the registry has no 127.0.0.1:")
    assert problem.endswith(f"@{DIGEST}. Push the image, or correct the release")
    # Who deploys without images on purpose is told all the same.
    on_purpose = images.check(plan, {**environ(plan), images.WAIT_VARIABLE: "0"})
    assert (on_purpose.problems, on_purpose.notes) == ((), (problem,))


def test_a_registry_with_a_user_name_and_basic_login(plan: EnvironmentPlan, hub: Hub) -> None:
    hub.challenge = "basic"
    robot = replace(plan, registry=replace(plan.registry, username="robot"))
    assert images.check(robot, environ(plan)) == Checked()


@pytest.mark.parametrize(
    ("challenge", "token", "said"),
    [
        ("bearer", "wrong", "does not accept the registry's token (401)"),
        ("strange", TOKEN, "asks for a login of an unknown"),
    ],
)
def test_a_registry_that_cannot_be_asked_says_why(
    plan: EnvironmentPlan, hub: Hub, challenge: str, token: str, said: str
) -> None:
    hub.challenge = challenge
    found = images.check(plan, environ(plan, token))
    assert found.problems == ()
    (note,) = found.notes
    assert said in note
    assert token not in note


def test_a_registry_that_is_not_there(plan: EnvironmentPlan) -> None:
    gone = replace(plan, registry=replace(plan.registry, host="127.0.0.1:1"))
    (note,) = images.check(gone, environ(plan)).notes
    assert "127.0.0.1:1 did not answer" in note
