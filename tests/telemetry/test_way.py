"""From a droplet's listener to the store: who is believed, what is limited, and what happens when nobody is there."""

import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from droplet.converge.store import MOST
from droplet.host import make_certificate
from droplet.telemetry import nginx
from droplet.telemetry.command import token
from droplet.telemetry.nginx import MAX_BODY
from model.telemetry import SERVICE_HISTOGRAMS, SERVICE_METRICS
from tests.support import ROOT
from tests.telemetry.conftest import SECRETS, Node, Store, Way, free_port, until
from tests.telemetry.otlp import gauge


def test_a_message_arrives_and_its_group_is_what_the_token_says(open_way: Way, store: Store) -> None:
    assert open_way.send(message(group="forged")) == 200
    found = until("it arrived", lambda: store.series("http_server_active_requests"))
    assert [(one["group"], one["service_name"]) for one in found] == [("worker", "probe")]


def message(**attributes: str) -> bytes:
    return gauge("http.server.active_requests", **{"service.name": "probe", **attributes})


def test_no_container_silences_or_forges_an_alert(open_way: Way, store: Store) -> None:
    """Rules ask by name alone, so what no service may send is not kept, under whichever labels."""
    forged = {"job": "droplet", "instance": "production-tenant-1", "cluster": "pg", "origin": "droplet"}
    for name in (
        "up",
        "presence360_maintenance",
        "presence360.postgres.connections.limit",
        "presence360_isolation_timestamp_seconds",
        "presence360_alert_test",
        "alertmanager_notifications_failed_total",
        "http_server_active_requests_up",
        "ALERTS",
    ):
        assert open_way.send(gauge(name, **forged)) == 200
    assert open_way.send(message(**forged)) == 200
    until("the last one arrived", lambda: store.series("http_server_active_requests"))
    (found,) = store.series()
    assert found["__name__"] == "http_server_active_requests"
    assert not {"job", "instance", "origin"} & found.keys()


def test_names_of_services_are_those_of_the_page() -> None:
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    table = page.partition("| From services |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (\w+)", table, re.MULTILINE)
    assert {name for name, kind in rows if kind == "histogram"} == set(SERVICE_HISTOGRAMS)
    assert {name for name, kind in rows if kind != "histogram"} == set(SERVICE_METRICS)


def test_a_second_run_changes_nothing(open_way: Way) -> None:
    before = (open_way.sender.restarts, open_way.receiver.restarts)
    assert open_way.sender.once()
    assert open_way.receiver.once()
    # The receiver is a sender as well: it has learned of itself meanwhile.
    assert (open_way.sender.restarts, open_way.receiver.restarts) == (before[0], before[1] + 1)
    assert open_way.receiver.once()
    assert open_way.receiver.restarts == before[1] + 1
    assert open_way.sender.metrics | {"timestamp_seconds": 0} == {
        "success": 1,
        "timestamp_seconds": 0,
        "receiver_known": 1,
        "listening": 1,
    }
    assert open_way.send(message()) == 200


def test_without_a_receiver_services_are_told_to_come_again(way: Way) -> None:
    assert way.sender.once()
    assert way.sender.metrics["receiver_known"] == 0
    assert way.send(b"x") == 503
    # What goes nowhere anyway is well received.
    assert (way.send(b"x", "/v1/traces"), way.send(b"x", "/v1/logs"), way.send(b"x", "/")) == (200, 200, 404)


def test_a_receiver_that_is_away_costs_seconds_and_the_next_message_arrives(
    open_way: Way, store: Store
) -> None:
    open_way.receiver.stop()
    began = time.monotonic()
    assert open_way.send(message()) == 502
    assert time.monotonic() - began < 30
    open_way.receiver.start()
    assert open_way.send(message()) == 200
    until("it arrived", lambda: store.series("http_server_active_requests"))


def test_a_store_that_is_away_is_no_success(open_way: Way, store: Store) -> None:
    store.process.terminate()
    store.process.wait(20)
    assert open_way.send(message()) == 502


def test_another_certificate_is_not_believed(open_way: Way, tmp_path: Path, store: Store) -> None:
    """Somebody who has taken the receiver's address, with a certificate of the same name."""
    make_certificate(tmp_path / "forged", open_way.receiver.name)
    for name in ("droplet.crt", "droplet.key"):
        (open_way.receiver.folders.etc / "tls" / name).write_text((tmp_path / "forged" / name).read_text())
    open_way.receiver.stop()
    open_way.receiver.start()
    assert open_way.send(message()) == 502
    assert "upstream SSL certificate verify error" in open_way.sender.log
    assert store.series("http_server_active_requests") == []
    # Once its own status object says so, it is believed.
    assert open_way.receiver.once()
    open_way.receiver.say()
    assert open_way.sender.once()
    assert open_way.send(message()) == 200


def test_a_receiver_that_moved_is_followed(open_way: Way) -> None:
    open_way.receiver.stop()
    port = free_port("127.0.0.2")
    open_way.receiver.configure(port=port)
    assert open_way.receiver.once()
    open_way.receiver.say(droplet="412345679")
    assert open_way.sender.once()
    assert open_way.send(message()) == 200


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "wrong"])
def test_who_has_no_token_is_refused(open_way: Way, store: Store, header: str) -> None:
    context = ssl.create_default_context(cafile=open_way.sender.folders.state / "receiver.crt")
    context.check_hostname = False
    request = urllib.request.Request(
        f"https://127.0.0.2:{open_way.receiver.receiver_port}/v1/metrics", data=message()
    )
    if header:
        request.add_header("Authorization", header)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5, context=context)  # noqa: S310  it begins with https://
    with refused.value as answer:
        assert answer.code == 401
    assert store.series("http_server_active_requests") == []


def test_a_flood_and_a_message_that_is_too_long_are_refused(open_way: Way) -> None:
    megabytes = int(MAX_BODY.removesuffix("m"))
    assert open_way.send(bytes(megabytes * 2**20 + 1)) == 413
    statuses = [open_way.send(b"x", "/v1/metrics") for _ in range(300)]
    assert statuses.count(429) > 0
    assert set(statuses) <= {400, 429}


@contextmanager
def held(
    address: tuple[str, int], messages: int, *, secret: str = "", tls: bool = False, path: str = "/v1/metrics"
) -> Iterator[None]:
    """Messages of 300 KB that never end."""
    context = ssl._create_unverified_context() if tls else None  # noqa: S323  nothing is read here
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\nAuthorization: Bearer {token(secret)}\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(messages):
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            if context:
                connection = stack.enter_context(context.wrap_socket(connection))
            # What is over the limit is answered, and closed, before it is sent as a whole.
            with suppress(OSError):
                connection.sendall(head.encode() + bytes(300_000))
        yield


def waiting(node: Node) -> list[str]:
    """Where messages are of which nginx has a part: it removes such a file's name once it is open."""
    assert node.process
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    opened = [path for child in children for path in Path(f"/proc/{child}/fd").iterdir()]
    names = [str(path.readlink()) for path in opened if path.is_symlink()]
    return [name for name in names if name.startswith(f"{node.folder}/") and name.endswith(" (deleted)")]


@pytest.fixture
def patient_way(way: Way, monkeypatch: pytest.MonkeyPatch) -> Way:
    """One without a store, that waits for messages that never end."""
    monkeypatch.setattr(nginx, "TIMEOUT_SECONDS", 60)
    way.receiver.traces = True
    way.receiver.configure()
    assert way.receiver.once()
    way.receiver.say()
    assert way.sender.once()
    return way


def test_a_container_that_sends_slowly_takes_no_memory_and_a_little_of_the_disk(patient_way: Way) -> None:
    """64 messages of 4 MiB in /run, which counts as memory of a unit that may have 64 MiB, ended all telemetry."""
    node = patient_way.sender
    with held(("127.0.0.1", node.port), nginx.SENDER_AT_ONCE + 4):
        found = until("they wait", lambda: len(files := waiting(node)) == nginx.SENDER_AT_ONCE and files)
        assert [name for name in found if not name.startswith(f"{node.folders.bodies}/")] == []
        assert patient_way.send(b"x") == 429
    until("they are gone", lambda: patient_way.send(b"x") == 502)


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/traces"])
def test_a_group_that_sends_slowly_takes_its_own_part_of_the_receiver(patient_way: Way, path: str) -> None:
    node = patient_way.receiver
    address = ("127.0.0.2", node.receiver_port)

    def ask(secret: str) -> int:
        context = ssl._create_unverified_context()  # noqa: S323  nothing is read here
        headers = {"Authorization": f"Bearer {token(secret)}"}
        request = urllib.request.Request(f"https://127.0.0.2:{address[1]}{path}", data=b"x", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10, context=context)  # noqa: S310  it begins with https://
        with refused.value as answer:
            return answer.code

    with held(address, nginx.GROUP_AT_ONCE + 4, secret=SECRETS["worker"], tls=True, path=path):
        until("they wait", lambda: len(waiting(node)) == nginx.GROUP_AT_ONCE)
        assert (ask(SECRETS["worker"]), ask(SECRETS["app"])) == (429, 502)


class TestTrouble:
    def test_what_cannot_be_fetched_changes_nothing(self, open_way: Way) -> None:
        program = open_way.sender
        program.rclone_fails = True
        assert not program.once()
        assert program.metrics["success"] == 0
        assert program.metrics["receiver_known"] == program.metrics["listening"] == 1
        assert open_way.send(message()) == 200

    def test_a_first_boot_without_a_bridge_takes_the_journal_alone(self, way: Way) -> None:
        assert way.sender.once(local=lambda _: False)
        assert way.sender.once(local=lambda _: False)
        assert way.sender.restarts == 1
        assert way.sender.metrics["listening"] == 0
        # The droplet of the observability group may have no container at all, and receives.
        assert way.receiver.once(local=lambda _: False)
        way.receiver.say()
        assert way.sender.once()
        assert way.send(b"x") == 502
        assert "connect() failed" in way.receiver.log
        assert way.receiver.once(local=lambda _: False)
        # Once more, since it knows itself as a receiver now.
        assert way.receiver.restarts == 2

    def test_a_flood_of_objects_is_told_and_what_was_known_goes_on(self, open_way: Way) -> None:
        for number in range(MOST + 1):
            (open_way.sender.status_bucket / f"9{number:05}.json").touch()
        assert not open_way.sender.once()
        assert len(list((open_way.sender.folders.state / "receivers").iterdir())) == MOST
        assert (open_way.sender.metrics["success"], open_way.sender.metrics["receiver_known"]) == (0, 1)
        assert open_way.send(message()) == 200

    def test_metrics_are_written_whatever_happens(self, way: Way) -> None:
        def local(_: str) -> bool:
            raise OverflowError("nobody thought of it")

        assert not way.sender.once(local=local)
        assert way.sender.metrics["success"] == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "telemetry.json does not have the form that Terraform writes (JSONDecodeError)"),
            ("{}", "telemetry.json does not have the form that Terraform writes (KeyError)"),
            ("[]", "telemetry.json does not have the form that Terraform writes (TypeError)"),
            (
                '{"receivers": "a b", "port": 1, "bridge": {"address": "127.0.0.1", "port": 1}}',
                "telemetry.json names a bucket, an address, a group or a token that cannot be",
            ),
            (
                '{"receivers": "ab", "port": 1, "bridge": {"address": "127.0.0.1", "port": 1},'
                ' "senders": {"app": "\\"; }"}}',
                "telemetry.json names a bucket, an address, a group or a token that cannot be",
            ),
        ],
    )
    def test_what_terraform_does_not_write_is_refused(
        self, open_way: Way, capsys: pytest.CaptureFixture[str], text: str, message: str
    ) -> None:
        before = (open_way.sender.folders.state / "nginx.conf").read_text()
        open_way.sender.folders.given.write_text(text)
        assert not open_way.sender.once()
        assert f"<3>{message}\n" in capsys.readouterr().out
        assert (open_way.sender.folders.state / "nginx.conf").read_text() == before

    def test_what_no_receiver_can_say_is_not_followed(self, open_way: Way) -> None:
        before = (open_way.sender.folders.state / "nginx.conf").read_text()
        bucket = open_way.sender.status_bucket
        good = (bucket / "412345678.json").read_text()
        for number, (old, new) in enumerate(
            (
                ("127.0.0.2", "203.0.113.7"),
                ("127.0.0.2", "127.0.0.2; }"),
                ("-----BEGIN CERTIFICATE-----", "x"),
                ("staging-app-1-3fa9c2", "x; include /etc/shadow"),
                ('"phase": "serving"', '"phase": 1'),
                ('"receiver"', '"other"'),
                (f'"port": {open_way.receiver.receiver_port}', '"port": 1e999'),
                ("{", "["),
            )
        ):
            assert old in good
            # An id that is larger: it would be chosen.
            (bucket / f"99999999{number}.json").write_text(good.replace(old, new, 1))
        assert open_way.sender.once()
        assert (open_way.sender.folders.state / "nginx.conf").read_text() == before
