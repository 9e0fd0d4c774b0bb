"""What all endpoints share: the token, errors, pages, the rate limit, faults, latency, the log, what survives."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.local_digitalocean.__main__ import main
from lab.local_digitalocean.calls import read
from lab.local_digitalocean.clock import Durations
from lab.local_digitalocean.faults import PER_HOUR, Fault
from lab.local_digitalocean.server import CALLS_FILE, Server
from tests.lab.local_digitalocean.client import Api


def test_who_has_no_token_is_turned_away(api: Api) -> None:
    exchange = api.ask("GET", "/v2/account", Authorization="")
    assert exchange.status == 401
    assert exchange.answer["id"] == "unauthorized"
    assert exchange.answer["message"] == "Unable to authenticate you"


def test_what_is_not_there_and_what_is_not_allowed(api: Api) -> None:
    assert api.refused(404, "GET", "/v2/nothing") == "The resource you were accessing could not be found."
    api.refused(404, "GET", "/v2/droplets/1")
    api.refused(405, "PUT", "/v2/account", {})


def test_lists_come_in_pages(api: Api) -> None:
    for number in range(5):
        api.do("POST", "/v2/tags", {"name": f"tag-{number}"})
    answer = api.do("GET", "/v2/tags?per_page=2&page=2")
    assert [tag["name"] for tag in answer["tags"]] == ["tag-2", "tag-3"]
    assert answer["meta"] == {"total": 5}
    pages = answer["links"]["pages"]
    assert set(pages) == {"first", "prev", "next", "last"}
    assert pages["next"].endswith("/v2/tags?page=3&per_page=2")
    assert pages["last"].endswith("page=3&per_page=2")
    last = api.do("GET", "/v2/tags?per_page=2&page=3")
    assert set(last["links"]["pages"]) == {"first", "prev"}
    assert api.do("GET", "/v2/tags")["links"] == {}


def test_a_page_has_20_unless_asked_and_200_at_most(api: Api) -> None:
    api.account.tag_all(f"tag-{number}" for number in range(250))
    assert len(api.do("GET", "/v2/tags")["tags"]) == 20
    assert len(api.do("GET", "/v2/tags?per_page=1000")["tags"]) == 200


def test_headers_say_how_much_of_the_hour_is_left(api: Api) -> None:
    headers = [api.ask("GET", "/v2/account").headers for _ in range(2)]
    assert [one["ratelimit-remaining"] for one in headers] == [str(PER_HOUR - 1), str(PER_HOUR - 2)]
    assert headers[0]["ratelimit-limit"] == str(PER_HOUR)
    assert int(headers[0]["ratelimit-reset"]) == int(api.time.seconds) + 3600


def test_more_than_the_limit_is_answered_429_until_the_window_has_moved_on(api: Api) -> None:
    api.faults.set({"per_minute": 3})
    for _ in range(3):
        api.do("GET", "/v2/account")
        api.wait(10)
    exchange = api.ask("GET", "/v2/account")
    assert (exchange.status, exchange.answer["id"]) == (429, "too_many_requests")
    assert exchange.headers["retry-after"] == "30"  # the first of them was 30 s ago
    api.wait(29)
    assert api.ask("GET", "/v2/account").status == 429
    api.wait(1)
    api.do("GET", "/v2/account")


def test_an_hours_limit_is_one_of_its_own(api: Api) -> None:
    api.faults.set({"per_hour": 2})
    api.do("GET", "/v2/account")
    api.wait(100)
    api.do("GET", "/v2/account")
    exchange = api.ask("GET", "/v2/account")
    assert (exchange.status, exchange.headers["retry-after"]) == (429, "3500")


def test_a_fault_hits_the_nth_call_that_matches(api: Api) -> None:
    api.faults.set({"faults": ["GET /v2/tags/.* 500 2 2"]})
    api.do("POST", "/v2/tags", {"name": "a"})
    assert [api.ask("GET", "/v2/tags/a").status for _ in range(4)] == [200, 500, 500, 200]
    assert api.do("GET", "/v2/tags")["meta"]["total"] == 1


def test_a_refused_call_did_nothing(api: Api) -> None:
    api.faults.set({"faults": ["POST /v2/vpcs 503"]})
    assert (
        api.ask("POST", "/v2/vpcs", {"name": "net", "region": "fra1"}).answer["id"] == "service_unavailable"
    )
    assert api.do("GET", "/v2/vpcs")["vpcs"] == []


def test_a_rate_limit_on_purpose_says_when_to_come_back(api: Api) -> None:
    api.faults.set({"faults": ["GET .* 429"]})
    assert api.ask("GET", "/v2/account").headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "written", ["GET /v2", "GET /v2 200", "GET /v2 later", "GET /v2 500 0", "GET /v2 500 1 1 1", "GET ( 500"]
)
def test_a_fault_that_cannot_be_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault.read(written)


def test_latency_passes_before_each_answer(api: Api) -> None:
    api.faults.set({"latency": 0.5})
    api.do("GET", "/v2/account")
    assert api.time.slept == 0.5
    (call,) = api.calls
    assert call.seconds == 0.5


def test_the_log_says_what_matters_of_each_call(api: Api) -> None:
    made = api.vpc()
    api.ask("GET", "/v2/droplets/7")
    first, second = api.calls
    assert (first.service, first.method, first.route, first.status, first.subject) == (
        "api", "POST", "/v2/vpcs", 201, made["id"],
    )  # fmt: skip
    assert (second.path, second.route, second.status) == ("/v2/droplets/7", "/v2/droplets/{droplet_id}", 404)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    server.stop()
    server.spaces.forget()


def ask(server: Server, path: str, *, data: bytes | None = None, method: str = "GET") -> object:
    request = urllib.request.Request(server.url + path, data=data, method=method)  # noqa: S310  (loopback)
    request.add_header("Authorization", "Bearer local")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
        return json.loads(response.read() or b"null")


def test_a_dropped_connection_did_nothing_and_a_dropped_answer_did(server: Server) -> None:
    server.faults.set({"faults": ["POST /v2/tags drop 1", "POST /v2/tags drop-answer 2"]})
    for name in (b'{"name": "lost"}', b'{"name": "made"}'):
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            ask(server, "/v2/tags", data=name, method="POST")
    assert list(server.account.tables["tags"]) == ["made"]
    assert [(call.status, call.fault) for call in server.calls] == [(0, "drop"), (0, "drop-answer")]


def test_state_survives_a_restart(server: Server, tmp_path: Path) -> None:
    ask(server, "/v2/tags", data=b'{"name": "kept"}', method="POST")
    authority = server.account.authority.certificate
    again = Server(tmp_path)
    try:
        assert list(again.account.tables["tags"]) == ["kept"]
        assert (
            again.environment()["SPACES_SECRET_ACCESS_KEY"]
            == server.environment()["SPACES_SECRET_ACCESS_KEY"]
        )
        assert again.account.authority.certificate == authority
    finally:
        again._server.server_close()


def test_only_its_owner_reads_what_is_kept(server: Server, tmp_path: Path) -> None:
    ask(server, "/v2/tags", data=b'{"name": "kept"}', method="POST")
    assert (tmp_path / "account.json").stat().st_mode & 0o077 == 0


def test_the_log_is_a_file_of_json_lines(server: Server, tmp_path: Path) -> None:
    ask(server, "/v2/account")
    assert [call.path for call in read(tmp_path / CALLS_FILE)] == ["/v2/account"]


def test_the_switches_are_turned_while_it_runs(server: Server) -> None:
    ask(server, "/_local/faults", data=b'{"faults": ["GET /v2/account 500"]}', method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        ask(server, "/v2/account")
    ask(server, "/_local/faults", data=b'{"faults": []}', method="PUT")
    ask(server, "/v2/account")
    with pytest.raises(urllib.error.HTTPError, match="422"):
        ask(server, "/_local/faults", data=b'{"fault": []}', method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(server, "/_local/nothing")


def test_how_long_things_take_can_be_said() -> None:
    assert Durations.read("droplet=20,cluster=60") == Durations(droplet=20, cluster=60)
    with pytest.raises(ValueError, match="unknown duration 'dorplet': use one of "):
        Durations.read("dorplet=1")


@pytest.mark.parametrize("arguments", [["--seconds", "x=1"], ["--fault", "nonsense"]])
def test_the_program_says_what_is_wrong_with_an_argument(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
