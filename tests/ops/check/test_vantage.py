"""What a machine does not see is not green: its network, and servers that say neither yes nor no."""

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from lab.checked.estate import Estate
from ops.check.checks import CHECKS
from ops.check.finding import Colour, NotSeenError
from ops.check.look import Look
from ops.check.run import Line, run
from ops.check.world import NoTlsError, World

NAME = "api.staging.presence360.app"


def looked(estate: Estate, line: str, world: World) -> Line:
    """Return one line, as it is seen through another network."""
    look = Look(estate.environment, estate.environ, world, root=estate.root, outdir=estate.outdir)
    (found,) = run(look, [one for one in CHECKS if one.name == line])
    return found


def failing(estate: Estate, error: OSError, *reached: int) -> World:
    """Return a network in which all ports but these fail."""

    def connect(_host: str, port: int, seconds: float) -> socket.socket:
        if port in reached:
            return estate.front.connect(80, seconds)
        raise error

    servers = dict.fromkeys(("ns1.digitalocean.com.", "ns2.digitalocean.com."), ("127.0.0.1", 53))
    return World(connect=connect, local=lambda _: "8.8.4.4", name_servers=lambda: servers)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        PermissionError(errno.EACCES, "Permission denied"),
        socket.gaierror(-3, "Temporary failure in name resolution"),
        TimeoutError("timed out"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ],
)
def test_a_machine_without_a_network_sees_no_closed_port(estate: Estate, error: OSError) -> None:
    line = looked(estate, "outside", failing(estate, error))
    assert [one.colour for one in line.findings] == [Colour.YELLOW]
    assert "staging-app, port 443, cannot be reached from here" in line.told[0].text


def test_a_machine_that_is_let_out_to_the_web_alone_sees_no_closed_port(estate: Estate) -> None:
    line = looked(estate, "outside", failing(estate, TimeoutError("timed out"), 443))
    assert [one.colour for one in line.findings] == [Colour.YELLOW]
    assert "ns1.digitalocean.com, port 53," in line.told[0].text


@pytest.mark.parametrize(
    ("error", "colour"),
    [
        (TimeoutError("timed out"), Colour.GREEN),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Colour.GREEN),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Colour.YELLOW),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Colour.YELLOW),
        (PermissionError(errno.EACCES, "Permission denied"), Colour.YELLOW),
        (socket.gaierror(-2, "Name or service not known"), Colour.YELLOW),
    ],
)
def test_only_what_was_tried_is_closed(estate: Estate, error: OSError, colour: Colour) -> None:
    addresses = {str(one["ip"]) for one in estate.all("/v2/load_balancers", "load_balancers")}

    def connect(host: str, port: int, seconds: float) -> socket.socket:
        if (host in addresses and port == 443) or port == 53:
            return estate.front.connect(80, seconds)
        raise error

    servers = {"ns1.digitalocean.com.": ("127.0.0.1", 53)}
    world = World(connect=connect, local=lambda _: "8.8.4.4", name_servers=lambda: servers)
    line = looked(estate, "outside", world)
    assert line.colour is colour, line.told
    assert ("could not be tried" in line.told[0].text) is (colour is Colour.YELLOW)


Answer = Callable[[socket.socket], None]


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], World]]:
    """A server that says something of its own to a client that opens a handshake."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def world(answer: Answer) -> World:
            def serve() -> None:
                client, _ = server.accept()
                with closing(client):
                    client.recv(4096)
                    answer(client)

            threading.Thread(target=serve, daemon=True).start()
            port = server.getsockname()[1]
            return World(connect=lambda *_: socket.create_connection(("127.0.0.1", port), timeout=30))

        yield world


def alert(number: int) -> Answer:
    return lambda client: client.sendall(bytes([21, 3, 1, 0, 2, 2, number]))


@pytest.mark.parametrize(
    "answer",
    [alert(70), alert(40), alert(71), lambda _: None],
    ids=["version", "handshake", "security", "end"],
)
def test_old_tls_is_refused_by_an_alert_or_an_end(
    answering: Callable[[Answer], World], answer: Answer
) -> None:
    assert answering(answer).takes_old_tls("192.0.2.1", NAME) is False


def test_what_speaks_no_tls_refuses_nothing(answering: Callable[[Answer], World], estate: Estate) -> None:
    world = answering(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(NoTlsError, match=f"{NAME} answers on port 443 without TLS"):
        world.takes_old_tls("192.0.2.1", NAME)

    class Plain(World):
        def takes_old_tls(self, host: str, name: str) -> bool:
            del host
            raise NoTlsError(f"{name} answers on port 443 without TLS")

    assert looked(estate, "tls", Plain()).colour is Colour.RED


def test_an_alert_about_something_else_refuses_nothing(answering: Callable[[Answer], World]) -> None:
    with pytest.raises(NotSeenError, match="INTERNAL_ERROR"):
        answering(alert(80)).takes_old_tls("192.0.2.1", NAME)


def test_what_is_silent_refuses_nothing() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        world = World(connect=lambda *_: socket.create_connection(("127.0.0.1", port), timeout=0.2))
        with pytest.raises(NotSeenError, match="says nothing"):
            world.takes_old_tls("192.0.2.1", NAME)


def test_a_handshake_that_is_broken_off_is_refused() -> None:
    class Resets(ssl.SSLContext):
        def wrap_socket(self, *_: object, **__: object) -> ssl.SSLSocket:
            raise ConnectionResetError("reset")

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        world = World(
            connect=lambda *_: socket.create_connection(("127.0.0.1", port), timeout=5),
            old=Resets(ssl.PROTOCOL_TLS_CLIENT),
        )
        assert world.takes_old_tls("192.0.2.1", NAME) is False


@pytest.mark.parametrize(
    ("location", "colour"),
    [
        (f"https://{NAME}/healthz", Colour.GREEN),
        (f"https://{NAME.upper()}:443/", Colour.GREEN),
        (f"https://{NAME}.evil.example/", Colour.RED),
        (f"https://{NAME}@evil.example/", Colour.RED),
        (f"https://{NAME}:8443/", Colour.RED),
        (f"https://{NAME}:x/", Colour.RED),
        (f"http://{NAME}/", Colour.RED),
    ],
)
def test_a_redirect_stays_at_its_name(estate: Estate, location: str, colour: Colour) -> None:
    class Redirects(World):
        def answer(self, host: str, name: str, path: str, *, secure: bool = True) -> tuple[int, str]:
            del host, secure
            return 301, location if name == NAME else f"https://{name}{path}"

    assert looked(estate, "redirects", Redirects()).colour is colour
