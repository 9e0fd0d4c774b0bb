"""nginx's configuration for telemetry: a listener for containers, and the receiver of the observability group.

A process apart from the nginx that serves churches: neither takes the other's connections, memory or restarts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from droplet.telemetry import texts
from droplet.telemetry.receivers import Receiver

MAX_BODY = "4m"
"""Of one message. A service with 2,000 series sends about 300 KB, uncompressed."""

SENDER_RATE, SENDER_BURST = 20, 200
"""Messages a second from one container, and at once: 32 processes send two a minute each."""
GROUP_RATE, GROUP_BURST = 200, 2000
"""The same from a group's droplets together."""
SENDER_AT_ONCE, SENDERS_AT_ONCE = 8, 64
"""Messages that one container sends at the same time, and all of them: each waits in a file of MAX_BODY at most. Whole
ones take milliseconds."""
GROUP_AT_ONCE, GROUPS_AT_ONCE = 32, 128
"""The same of a group's droplets on the receiver, and of all groups."""
TIMEOUT_SECONDS = 4
"""Below what SDKs wait for an answer: 10 s (OpenTelemetry specification, "OTLP Exporter Configuration")."""

STORE = "http://127.0.0.1:8428/opentelemetry/v1/metrics"
"""Victoria Metrics on the observability group's droplet (its documentation, "Sending data via OpenTelemetry")."""
TRACES_STORE = "http://127.0.0.1:10428/insert/opentelemetry/v1/traces"
"""VictoriaTraces there (app/vtinsert/opentelemetry/opentelemetry.go)."""

UPLOAD_PORT = 9368
"""On loopback: where journal-upload sends the droplet's journal (model/logs.py)."""
FILTER_PORT = 9367
"""On loopback: what takes out of spans what may be about people (model/traces.py)."""
UPLOADS = 100
"""Of a group at once. Each droplet has one, and a group that scales has 50 droplets or fewer."""
UPLOAD_SECONDS = 60
"""Between two pieces: journal-upload ends a request when it has sent all that there is."""

PINNED = "receiver.crt"
"""The receiver's certificate, among what systemd hands nginx."""


@dataclass(frozen=True)
class Listener:
    """The containers' side.

    Attributes:
        address: on their bridge.
        port: there.
    """

    address: str
    port: int


@dataclass(frozen=True)
class Reception:
    """The receiving side.

    Attributes:
        address: the droplet's private one.
        port: there.
        vpc_range: who may ask.
        tokens: by group.
        journals: by group, the loopback port that takes its droplets' logs.
    """

    address: str
    port: int
    vpc_range: str
    tokens: Mapping[str, str]
    journals: Mapping[str, int]


def render(
    listener: Listener | None,
    receiver: Receiver | None,
    token: str,
    reception: Reception | None,
    *,
    scratch: Path,
    bodies: Path,
    credentials: Path,
    upload_port: int = UPLOAD_PORT,
    filter_port: int | None = None,
) -> str:
    """Return the configuration.

    Args:
        listener: where services send; None on a droplet without containers.
        receiver: where it is forwarded; None while none is known: services are told to come again.
        token: of this droplet's group.
        reception: on a droplet of the observability group.
        scratch: nginx's own folder.
        bodies: where messages wait until all of them has come, on the disk: what is below /run is memory.
        credentials: what systemd hands nginx: the receiver's certificate and, on a receiver, its own with the key.
        upload_port: where the droplet's own journal comes, and spans that may leave the droplet.
        filter_port: where spans of services go first; None where no traces are kept.
    """
    parts = [texts.HEAD.format(scratch=scratch, bodies=bodies, max_body=MAX_BODY, timeout=TIMEOUT_SECONDS)]
    traces = (
        texts.FILTER.format(
            port=filter_port, burst=SENDER_BURST, at_once=SENDER_AT_ONCE, all_at_once=SENDERS_AT_ONCE
        )
        if filter_port
        else "            return 200;\n"
    )
    forward = upload = onwards = "            default_type text/plain;\n            return 503;\n"
    if receiver:
        parts.append(texts.UPSTREAM.format(receiver=receiver))
        verified = texts.VERIFIED.format(
            receiver=receiver, credentials=credentials, pinned=PINNED, token=token
        )
        forward = verified + texts.FORWARD.format(
            timeout=TIMEOUT_SECONDS, burst=SENDER_BURST, at_once=SENDER_AT_ONCE, all_at_once=SENDERS_AT_ONCE
        )
        upload = texts.UPLOAD.format(seconds=UPLOAD_SECONDS) + verified
        onwards = texts.ONWARDS.format(timeout=TIMEOUT_SECONDS) + verified
    if listener:
        parts.append(
            texts.LISTENER.format(listener=listener, forward=forward, traces=traces, rate=SENDER_RATE)
        )
    parts.append(texts.LOOPBACK.format(port=upload_port, upload=upload, onwards=onwards))
    if reception:
        senders = "".join(
            f'        "Bearer {own}" {group};\n' for group, own in sorted(reception.tokens.items())
        )
        journals = "".join(f"        {group} {port};\n" for group, port in sorted(reception.journals.items()))
        parts.append(
            texts.RECEPTION.format(
                reception=reception,
                credentials=credentials,
                store=STORE,
                # Without traces nobody sends any, and what comes all the same is well received.
                traces=texts.TRACES_STORE.format(
                    store=TRACES_STORE,
                    burst=GROUP_BURST,
                    at_once=GROUP_AT_ONCE,
                    all_at_once=GROUPS_AT_ONCE,
                )
                if filter_port
                else "            return 200;\n",
                senders=senders,
                journals=journals,
                rate=GROUP_RATE,
                burst=GROUP_BURST,
                at_once=GROUP_AT_ONCE,
                all_at_once=GROUPS_AT_ONCE,
                uploads=UPLOADS,
                seconds=UPLOAD_SECONDS,
            )
        )
    parts.append("}\n")
    return "".join(parts)
