"""What is kept of spans: a list of attributes, and nothing that looks like a person or a token.

The shape is OpenTelemetry's (opentelemetry-proto 1.7, trace/v1/trace.proto and what that includes).
"""

import codecs
import re
from collections.abc import Collection

from droplet.traces.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Budget,
    MalformedError,
    Rule,
    Rules,
    fields,
    kept,
    message,
    with_length,
)

RESOURCE = frozenset(
    {"service.name", "service.namespace", "service.instance.id", "deployment.environment.name", "host.name"}
    | {"telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"}
)
"""Of the process that made the span."""

SPAN = frozenset(
    {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "url.scheme",
        "network.protocol.version",
    }
    | {"error.type", "db.system.name", "db.operation.name", "rpc.system", "rpc.service", "rpc.method"}
    | {"messaging.system", "messaging.operation.name", "messaging.operation.type"}
    | {"celery.action", "celery.task_name", "celery.state"}
    | {"presence360.tenant", "presence360.queue_class", "presence360.operation", "presence360.outcome"}
)
"""Of the span itself. No addresses, no queries, no messages, no ids but a church's (docs/traces.md)."""

EVENT = frozenset({"exception.type"})
"""Of what happened in it: the text of an exception quotes what people wrote."""

LONGEST = 200
"""Characters of a name or a value."""
_READ = 1000
"""Bytes of it that are looked at: the time that a pattern takes grows with the square of a text."""
FIELDS = 100_000
"""Of one message. SDKs send 512 spans at once (OpenTelemetry specification, "Batching processor"), so each may have
some 45 attributes of four fields; it is 0.5 s of CPU at most."""

_PERSONAL = re.compile(
    r"(?P<id>(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z@%.-]))"
    r"|[^\s/]*(?:@|%40)[^\s/]*|\+?[0-9](?:[ .-]?[0-9]){8,}|[A-Za-z0-9_.~=-]{40,}"
    r"|\?\S*"
)
"""As in nginx's log (nginx.conf.j2): an e-mail address, 9 digits of a telephone, with or without what stands between
them, a word of 40 characters. And what stands behind a question mark: some name a span by the address that is asked,
with its query, such as Next.js (server/lib/patch-fetch). A UUID stays."""
_INSTEAD = "*"
_LAST_WORD = re.compile(r"[^\s/]+\Z")

_ID = re.compile(rb"(?s).{8}|.{16}")
"""Of a span, or of a trace."""

_KEY, _VALUE = 1, 2
_STRING, _BOOL, _INT, _DOUBLE = 1, 2, 3, 4


def without_people(request: bytes) -> tuple[bytes, int]:
    """Return a request without what may be about a person, and how many spans it has.

    Raises:
        MalformedError: it is no ExportTraceServiceRequest.
    """
    clean = kept(request, _REQUEST, Budget(FIELDS))
    # What is kept has no more fields than what came.
    budget = Budget(FIELDS)
    return clean, sum(
        1
        for resource in _parts(clean, 1, budget)
        for scope in _parts(resource, 2, budget)
        for _ in _parts(scope, 2, budget)
    )


def _parts(text: bytes, number: int, budget: Budget) -> list[bytes]:
    return [field.content for field in fields(text, budget) if (field.number, field.kind) == (number, BYTES)]


def _clean(text: bytes, budget: Budget) -> bytes:
    del budget
    try:
        # The last character may be cut in two; the decoder waits for the rest of it.
        shown = codecs.getincrementaldecoder("utf-8")().decode(text[:_READ], final=len(text) <= _READ)
    except UnicodeDecodeError:
        raise MalformedError("a text that is not UTF-8") from None
    if len(text) > _READ:
        # The last word may be half of an address.
        shown = _LAST_WORD.sub(_INSTEAD, shown)
    return _PERSONAL.sub(_masked, shown)[:LONGEST].encode()


def _masked(found: re.Match[str]) -> str:
    return found["id"] or _INSTEAD


def _identity(content: bytes, budget: Budget) -> bytes | None:
    del budget
    return content if _ID.fullmatch(content) else None


def _attributes(allowed: Collection[str]) -> Rule:
    known = {name.encode() for name in allowed}

    def change(content: bytes, budget: Budget) -> bytes | None:
        key, said = b"", b""
        for field in fields(content, budget):
            if field.kind == BYTES and field.number == _KEY:
                key = field.content
            elif field.kind == BYTES and field.number == _VALUE:
                said = field.content
        if key not in known or not (value := kept(said, _ANY_VALUE, budget)):
            return None
        return with_length(_KEY, key) + with_length(_VALUE, value)

    return Rule(BYTES, change)


_TEXT = Rule(BYTES, _clean)
_IDENTITY = Rule(BYTES, _identity)
# No lists, no maps, no bytes.
_ANY_VALUE: Rules = {_STRING: _TEXT, _BOOL: Rule(VARINT), _INT: Rule(VARINT), _DOUBLE: Rule(FIXED64)}
_EVENT: Rules = {1: Rule(FIXED64), 2: _TEXT, 3: _attributes(EVENT)}
_LINK: Rules = {1: _IDENTITY, 2: _IDENTITY, 6: Rule(FIXED32)}
# A message that says why is not kept.
_STATUS: Rules = {3: Rule(VARINT)}
_SPAN: Rules = {
    1: _IDENTITY,
    2: _IDENTITY,
    4: _IDENTITY,
    5: _TEXT,
    6: Rule(VARINT),
    7: Rule(FIXED64),
    8: Rule(FIXED64),
    9: _attributes(SPAN),
    11: message(_EVENT),
    13: message(_LINK),
    15: message(_STATUS),
    16: Rule(FIXED32),
}
_SCOPE_SPANS: Rules = {1: message({1: _TEXT, 2: _TEXT}), 2: message(_SPAN)}
_RESOURCE_SPANS: Rules = {1: message({1: _attributes(RESOURCE)}), 2: message(_SCOPE_SPANS)}
_REQUEST: Rules = {1: message(_RESOURCE_SPANS)}
