"""The network as a check sees it from here: connections, TLS, name servers. Tests and rehearsals have their own."""

import http.client
import socket
import ssl
import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from model.edge import NAME_SERVERS
from ops.check.finding import NotSeenError
from ops.name_servers import Server, delegated

CONNECT_SECONDS = 5.0
"""A firewall drops packets, so that a closed port is known by this time alone."""
PROBE_SECONDS = 3.0
ANSWER_BYTES = 64 * 1024

_UNABLE = frozenset({"NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"})
_REFUSALS = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY"}
)
"""Alerts by which a server refuses versions or ciphers (RFC 5246, section 7.2.2), as OpenSSL names them (sslerr.h)."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""What OpenSSL says of an answer that is no record of TLS; which of them depends on its version."""


class NoTlsError(OSError):
    """Something answers, and it does not speak TLS."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that was verified by chain and name.

    Attributes:
        names: that it is valid for.
        not_after: when it ends, in seconds since the epoch.
    """

    names: tuple[str, ...]
    not_after: float


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=seconds)


def _name_servers() -> dict[str, Server]:
    """Return the addresses of DigitalOcean's name servers, by name."""
    found: dict[str, Server] = {}
    for name in NAME_SERVERS:
        try:
            found[name] = (str(socket.getaddrinfo(name, 53, type=socket.SOCK_DGRAM)[0][4][0]), 53)
        except OSError as error:
            raise NotSeenError(
                f"{name} does not resolve: {error}", "Look at the resolver of this machine, and try again"
            ) from None
    return found


def old_tls() -> ssl.SSLContext:
    """Return a client that offers TLS 1.0 and 1.1 alone, with every cipher that it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # OpenSSL 3 allows them at this level only (SSL_CTX_set_security_level(3)). Python warns of what is wanted here.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


def _refused(error: ssl.SSLError, name: str) -> bool:
    """Return False where a failed handshake is a refusal; the reasons are OpenSSL's names."""
    if error.reason in _UNABLE:
        raise NotSeenError(
            "this machine's OpenSSL cannot offer TLS 1.0 and 1.1",
            "Run the check where OpenSSL can: a runner of GitHub's, or Debian",
        ) from None
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or error.reason in _REFUSALS:
        return False
    if error.reason in _NO_TLS:
        raise NoTlsError(f"{name} answers on port 443 without TLS") from None
    raise NotSeenError(
        f"{name} ended a handshake of TLS 1.0 and 1.1 with {error.reason or error}", "Try again, or report it"
    ) from None


def local_address(host: str) -> str:
    """Return this machine's address on the way to a host; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect((host, 9))
            return str(asked.getsockname()[0])
    except OSError:
        return ""


@dataclass(frozen=True)
class World:
    """The network from here.

    Attributes:
        connect: opens a TCP connection to a host and port within some seconds, or raises an OSError.
        trusted: verifies certificates.
        old: offers old versions of TLS alone.
        name_servers: the addresses of the zones' own name servers, by name.
        delegation: returns the name servers of a domain as resolvers know them.
        seen_as: the address that others see this machine as, if somebody said it; empty: only the local one is known.
        local: returns the local address from which a host is reached.
    """

    connect: Callable[[str, int, float], socket.socket] = _connect
    trusted: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    old: ssl.SSLContext = field(default_factory=old_tls)
    name_servers: Callable[[], Mapping[str, Server]] = _name_servers
    delegation: Callable[[str], frozenset[str]] = delegated
    seen_as: str = ""
    local: Callable[[str], str] = local_address

    def opens(self, host: str, port: int) -> bool:
        """Tell whether somebody accepts TCP connections there.

        Closed is what is refused, and what nobody answers. Both are so too where this machine reaches nothing at all,
        so that a caller has to see something open first.

        Raises:
            OSError: the question did not get there: no name, no route, not permitted.
        """
        try:
            self.connect(host, port, PROBE_SECONDS).close()
        except (ConnectionRefusedError, ConnectionResetError, TimeoutError):
            return False
        return True

    def certificate(self, host: str, name: str) -> Certificate:
        """Return the certificate with which a host answers for a name, verified.

        Raises:
            ssl.SSLCertVerificationError: it is not valid for that name.
            OSError: nobody answers.
        """
        with (
            closing(self.connect(host, 443, CONNECT_SECONDS)) as plain,
            self.trusted.wrap_socket(plain, server_hostname=name) as tls,
        ):
            found: dict[str, Any] = dict(tls.getpeercert() or {})
        names = tuple(str(value) for kind, value in found.get("subjectAltName", ()) if kind == "DNS")
        return Certificate(names, float(ssl.cert_time_to_seconds(str(found["notAfter"]))))

    def takes_old_tls(self, host: str, name: str) -> bool:
        """Tell whether a host speaks TLS 1.0 or 1.1; only what was refused is no.

        Raises:
            NotSeenError: this machine's OpenSSL cannot offer them, or what came is neither yes nor no.
            NoTlsError: something answers, and it is not TLS.
            OSError: nobody answers.
        """
        with closing(self.connect(host, 443, CONNECT_SECONDS)) as plain:
            try:
                self.old.wrap_socket(plain, server_hostname=name).close()
            except ssl.SSLError as error:
                return _refused(error, name)
            except TimeoutError:
                raise NotSeenError(
                    f"{name} accepts a connection, and then says nothing to a client of TLS 1.0 and 1.1",
                    "See the line of certificates, and try again",
                ) from None
            except ConnectionError:
                # Some servers close the connection in place of an alert.
                return False
        return True

    def answer(self, host: str, name: str, path: str, *, secure: bool = True) -> tuple[int, str]:
        """Return the status and the location of the answer to a GET.

        Raises:
            OSError: there was no answer.
        """
        plain = self.connect(host, 443 if secure else 80, CONNECT_SECONDS)
        connection = http.client.HTTPConnection(name, timeout=CONNECT_SECONDS)
        with closing(plain), closing(connection):
            connection.sock = self.trusted.wrap_socket(plain, server_hostname=name) if secure else plain
            try:
                connection.request("GET", path, headers={"User-Agent": "presence360-check"})
                response = connection.getresponse()
                response.read(ANSWER_BYTES)
            except http.client.HTTPException as error:
                raise OSError(f"no answer of HTTP: {type(error).__name__}") from None
        return response.status, response.getheader("Location") or ""
