"""The zones' own name server, on a UDP port of loopback: it answers from the records that the API has."""

import socketserver
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zones = Mapping[str, Iterable[Mapping[str, Any]]]
"""By zone, its records as the API shows them."""


class NameServer:
    """One server that speaks for all zones of the account.

    Attributes:
        authoritative: whether it says that it speaks for them.
    """

    def __init__(self, zones: Callable[[], Zones]) -> None:
        self._zones = zones
        self.authoritative = True
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                content, answer_by = self.request
                answer_by.sendto(outer.answer(content), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, content: bytes) -> bytes:
        """Answer one question."""
        asked = dns.message.from_wire(content)
        response = dns.message.make_response(asked)
        if self.authoritative:
            response.flags |= dns.flags.AA
        (question,) = asked.question
        values = self._values(question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype))
        if values is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif values:
            response.answer.append(
                dns.rrset.from_text(question.name, 300, "IN", dns.rdatatype.to_text(question.rdtype), *values)
            )
        return response.to_wire()

    def _values(self, name: str, kind: str) -> list[str] | None:
        """Return the values of a name; None where there is no such name."""
        zones = self._zones()
        # The longest: a zone below another one speaks for its own names.
        fitting = [zone for zone in zones if name == zone or name.endswith(f".{zone}")]
        zone = max(fitting, key=len, default=None)
        if zone is None:
            return None
        label = name.removesuffix(zone).rstrip(".") or "@"
        records = list(zones[zone])
        own = [one for one in records if one["name"] == label]
        if not own and "." not in label:
            own = [one for one in records if one["name"] == "*"]
        if not own:
            return None
        return [_text(one) for one in own if one["type"] == kind]


def _text(record: Mapping[str, Any]) -> str:
    value = str(record["data"])
    if record["type"] == "CAA":
        return f'{record.get("flags") or 0} {record["tag"]} "{value.rstrip(".")}"'
    return f"{value.rstrip('.')}." if record["type"] == "NS" else value
