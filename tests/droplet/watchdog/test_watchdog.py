"""The watchdog's two ends, over HTTP: what Alertmanager posts, and what the world is told."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from droplet.converge.errors import CommandError
from droplet.watchdog.command import FRESH_SECONDS, Answer, Handling, Receiver, fires, server


def message(name: str = "Watchdog", status: str = "firing") -> bytes:
    return json.dumps({"alerts": [{"status": status, "labels": {"alertname": name}}]}).encode()


@contextmanager
def serving(handlings: Mapping[str, Handling]) -> Iterator[int]:
    found = server(0, handlings)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    try:
        yield found.server_address[1]
    finally:
        found.shutdown()
        found.server_close()
        thread.join()


def ask(port: int, method: str, body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, "/watchdog", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Bucket:
    """Stands in for rclone: one object."""

    def __init__(self) -> None:
        self.content = ""
        self.broken = False

    def run(self, command: Sequence[str], _env: Mapping[str, str], _timeout: float) -> str:
        if self.broken:
            raise CommandError("rclone: exit 1")
        if "copyto" in command:
            self.content = Path(command[-2]).read_text(encoding="utf-8")
        return self.content


def test_it_goes_from_alertmanager_to_the_world_and_grows_old(tmp_path: Path) -> None:
    bucket, now = Bucket(), [1_000_000.0]
    receiver = Receiver(bucket.run, ("rclone",), tmp_path / "watchdog.json", clock=lambda: now[0])
    answer = Answer(bucket.run, ("rclone", "cat"), clock=lambda: now[0])
    with serving({"POST": receiver.take}) as inside, serving({"GET": answer.give}) as outside:
        assert ask(outside, "GET") == (503, "alerts do not arrive\n")
        assert ask(inside, "POST", message()) == (200, "written\n")
        answer.look()
        assert ask(outside, "GET") == (200, "alerts arrive\n")
        now[0] += FRESH_SECONDS
        answer.look()
        assert ask(outside, "GET")[0] == HTTPStatus.OK
        now[0] += 1
        answer.look()
        assert ask(outside, "GET")[0] == HTTPStatus.SERVICE_UNAVAILABLE
        # What answers only looks: nobody writes from there.
        assert ask(outside, "POST", message())[0] == HTTPStatus.NOT_IMPLEMENTED


def test_a_bucket_that_cannot_be_written_makes_alertmanager_try_again(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.broken = True
    receiver = Receiver(bucket.run, ("rclone",), tmp_path / "watchdog.json")
    assert receiver.take(message())[0] == HTTPStatus.BAD_GATEWAY


def test_a_bucket_that_cannot_be_read_makes_the_answer_old() -> None:
    bucket, now = Bucket(), [1_000_000.0]
    bucket.content = '{"time": 1000000}'
    answer = Answer(bucket.run, ("rclone", "cat"), clock=lambda: now[0])
    answer.look()
    bucket.broken = True
    now[0] += FRESH_SECONDS + 1
    answer.look()
    assert answer.give()[0] == HTTPStatus.SERVICE_UNAVAILABLE


_NONE = ["", "[]", '{"time": "soon"}', '{"time": 99999999999}']
_HOSTILE = [f'{{"time": {"9" * 400}}}', '{"time": 1e999}', '{"time": NaN}', "[" * 100_000]


@pytest.mark.parametrize("content", [*_NONE, *_HOSTILE])
def test_what_is_no_time_of_now_is_not_fresh(content: str) -> None:
    bucket = Bucket()
    bucket.content = content
    answer = Answer(bucket.run, ("rclone", "cat"))
    answer.look()
    assert answer.give()[0] == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    "body", [message(status="resolved"), message("DiskFull"), b"", b"[]", b'{"alerts": [1]}']
)
def test_nothing_else_counts(body: bytes) -> None:
    assert not fires(body)
