"""What answers at the load balancers' addresses: TLS with a certificate of an authority of its own, and a redirect."""

import datetime
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAYS = 60
OK = 200


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that are refused leave in the middle."""


class Front:
    """Two ports of loopback that stand for 443 and 80 of every load balancer.

    Attributes:
        names: that its certificate is for.
        days: until that ends.
        takes_old_tls: whether it speaks TLS 1.0 and 1.1 too.
        redirects: whether http is redirected.
        statuses: what a path answers; 200 without an entry.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.days = list(names), DAYS
        self.takes_old_tls, self.redirects = False, True
        self.statuses: dict[str, int] = {}
        self._authority = _Authority()
        outer = self

        class Secure(_Quiet):
            def do_GET(self) -> None:
                self.send_response(outer.statuses.get(self.path, OK))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def setup(self) -> None:
                self.request = outer.context().wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()

        class Plain(_Quiet):
            def do_GET(self) -> None:
                self.send_response(301 if outer.redirects else OK)
                self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()

        self._servers = {443: _Server(("127.0.0.1", 0), Secure), 80: _Server(("127.0.0.1", 0), Plain)}
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def authority(self) -> str:
        """The authority's certificate, in PEM."""
        return self._authority.pem

    def context(self) -> ssl.SSLContext:
        """Return the TLS of a connection, as it is set now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self._authority.sign(self.names, self.days)
        with tempfile.NamedTemporaryFile(mode="w") as file:
            file.write(certificate + key)
            file.flush()
            context.load_cert_chain(file.name)
        if self.takes_old_tls:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
        return context

    def connect(self, port: int, seconds: float) -> socket.socket:
        """Connect to what stands for a port."""
        return socket.create_connection(("127.0.0.1", self._servers[port].server_port), timeout=seconds)

    def close(self) -> None:
        """Stop both."""
        for server in self._servers.values():
            server.shutdown()
            server.server_close()


class _Authority:
    """Signs certificates; a key for all of them, which takes no time to make."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a rehearsal")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._certificate = (
            self._builder(self._name, 365)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, names: Sequence[str], days: int) -> tuple[str, str]:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, days)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), key.decode()


def trusting(authority: str) -> ssl.SSLContext:
    """Return a client that trusts this authority alone."""
    return ssl.create_default_context(cadata=authority)
