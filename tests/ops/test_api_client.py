"""The client of DigitalOcean's API: how often it asks, how much it reads, and what it never says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops import api_client
from ops.api_client import ApiError, Client

TOKEN = "not-to-be-shown"


class Server(HTTPServer):
    """Gives one answer after the other: a status, headers and a body."""

    answers: list[tuple[int, dict[str, str], bytes]]
    asked: list[str]


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Answer)
    made.answers, made.asked = [], []
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def client(server: Server, pauses: list[float]) -> Client:
    return Client(f"http://127.0.0.1:{server.server_port}", TOKEN, sleep=pauses.append)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(server: Server, status: int) -> None:
    server.answers = [(status, {}, b"{}"), (status, {"Retry-After": "7"}, b"{}"), (200, {}, b'{"a": 1}')]
    pauses: list[float] = []
    assert client(server, pauses).get("/v2/account") == {"a": 1}
    assert pauses == [2, 7]


def test_it_gives_up_and_does_not_wait_for_an_hour(server: Server) -> None:
    server.answers = [(429, {"Retry-After": "3600"}, b"{}")] * 3
    pauses: list[float] = []
    with pytest.raises(ApiError, match=r"the API answered 429 to /v2/account$"):
        client(server, pauses).get("/v2/account")
    assert pauses == [30, 30]


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refusal_is_asked_once(server: Server, status: int) -> None:
    server.answers = [(status, {}, b"{}")]
    with pytest.raises(ApiError) as refused:
        client(server, []).get("/v2/account", per_page=1)
    assert (refused.value.status, len(server.asked)) == (status, 1)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 200_000])
def test_what_is_no_json_is_no_answer(server: Server, body: bytes) -> None:
    server.answers = [(200, {}, body)] * 3
    with pytest.raises(ApiError, match="the API did not answer /v2/account: "):
        client(server, []).get("/v2/account")
    assert len(server.asked) == 3


def test_an_answer_without_an_end_is_not_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "LARGEST", 1_000)
    server.answers = [(200, {}, json.dumps("x" * 1_000).encode())] * 3
    with pytest.raises(ApiError, match="the answer has more than 1,000 bytes"):
        client(server, []).get("/v2/account")


def test_a_list_without_an_end_is_not_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "MOST_PAGES", 3)
    page = json.dumps({"a": [{}], "links": {"pages": {"next": "x"}}}).encode()
    server.answers = [(200, {}, page)] * 9
    assert client(server, []).all("/v2/droplets", "a") == [{}, {}, {}]
    assert server.asked[-1] == "/v2/droplets?per_page=200&page=3"


def test_an_address_is_http() -> None:
    with pytest.raises(ApiError, match="DIGITALOCEAN_API_URL is not an address: 'file:///etc/passwd'"):
        Client.of({"DIGITALOCEAN_API_URL": "file:///etc/passwd"})


def test_nothing_that_listens_is_told_in_plain_words() -> None:
    with pytest.raises(ApiError, match=r"the API did not answer /v2/account: Connection refused$"):
        Client("http://127.0.0.1:1", TOKEN, tries=1).get("/v2/account")
