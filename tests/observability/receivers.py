"""Stand-ins of what messages are handed to: a mail relay that wants TLS and a login, and Slack's incoming webhook."""

import email
import email.policy
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from lab.local_digitalocean.tls import Authority
from tests.observability.loop import free_port

ADDRESS = "127.0.0.1"


@dataclass
class Relay:
    """Takes mail after STARTTLS and a login, and from nobody else.

    Attributes:
        folder: for its certificate.
        user: who may log in.
        password: with which password.
        mails: what came.
    """

    folder: Path
    user: str
    password: str
    authority: Authority = field(default_factory=lambda: Authority({}))
    mails: list[email.message.EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        certificate, key = self.authority.sign(ADDRESS)
        self.folder.mkdir()
        (self.folder / "relay.pem").write_text(certificate + key, encoding="utf-8")
        (self.folder / "ca.pem").write_text(self.authority.certificate, encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "relay.pem")
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname=ADDRESS,
            port=self.port,
            tls_context=context,
            require_starttls=True,
            authenticator=self._login,
            auth_required=True,
            # aiosmtpd's LOGIN asks with words that Alertmanager does not know ("User Name"; relays say "Username:").
            auth_exclude_mechanism=["LOGIN"],
        )
        self._controller.start()

    @property
    def authorities(self) -> Path:
        """What a client has to trust."""
        return self.folder / "ca.pem"

    def _login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        known = isinstance(given, LoginPassword) and (given.login, given.password) == (
            self.user.encode(),
            self.password.encode(),
        )
        return AuthResult(success=known)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        """Take a mail."""
        assert session.ssl and session.authenticated
        if self.refuses:
            return "550 the account is suspended"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, email.message.EmailMessage)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"

    def stop(self) -> None:
        """End it."""
        self._controller.stop()


@dataclass
class Slack:
    """Slack's incoming webhook, as far as its documentation says what it takes and answers.

    Attributes:
        shown: by message, what people see: title and text.
    """

    port: int = field(default_factory=free_port)
    shown: list[tuple[str, str]] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, text = outer._take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
                pass

        self.server = ThreadingHTTPServer((ADDRESS, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """The webhook's address: who knows it may write."""
        return f"http://{ADDRESS}:{self.port}/services/T0/B0/secret"

    def _take(self, path: str, body: bytes) -> tuple[int, str]:
        if path != "/services/T0/B0/secret":
            return 404, "no_service"
        if self.refuses:
            return 410, "channel_is_archived"
        said = json.loads(body)
        (attachment,) = said["attachments"]
        self.channels.append(said["channel"])
        self.colours.append(attachment["color"])
        self.shown.append((_seen(attachment["title"]), _seen(attachment["text"])))
        return 200, "ok"

    def stop(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


def _seen(text: str) -> str:
    """Return what Slack shows (its documentation, "Formatting text"): what is in < and > is a link or a mention."""
    text = re.sub(r"<([^>]*)>", lambda match: f"[link to {match[1]}]", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
