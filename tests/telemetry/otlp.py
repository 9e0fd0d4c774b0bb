"""Messages in OpenTelemetry's protocol, written by hand: a test on a droplet needs no SDK for them.

Numbers of fields: opentelemetry-proto, metrics.proto.
"""

import struct
import time
from collections.abc import Mapping, Sequence

BEGAN = time.time_ns()


def gauge(name: str, **attributes: str) -> bytes:
    """A gauge of 7, of a service that gives itself attributes."""
    return _message(name, _field(5, _field(1, _number(7, {}))), attributes)


def counters(name: str, label: str, values: Mapping[str, int], **attributes: str) -> bytes:
    """A counter with a value for each value of a label."""
    points = b"".join(_field(1, _number(count, {label: value})) for value, count in values.items())
    return _message(name, _field(7, points + _CUMULATIVE + _MONOTONIC), attributes)


def histogram(name: str, bounds: Sequence[float], counts: Sequence[int], **attributes: str) -> bytes:
    """A histogram with this many observations up to each bound, and above the last one."""
    content = (
        _fixed(2, BEGAN) + _fixed(3, time.time_ns()) + _fixed(4, sum(counts)) + b"\x29" + struct.pack("<d", 0)
    )
    content += _field(6, b"".join(struct.pack("<Q", count) for count in counts))
    content += _field(7, b"".join(struct.pack("<d", bound) for bound in bounds))
    return _message(name, _field(9, _field(1, content) + _CUMULATIVE), attributes)


_CUMULATIVE, _MONOTONIC = b"\x10\x02", b"\x18\x01"


def _message(name: str, data: bytes, attributes: Mapping[str, str]) -> bytes:
    resource = _field(1, b"".join(_field(1, _attribute(key, text)) for key, text in attributes.items()))
    return _field(1, resource + _field(2, _field(2, _field(1, name.encode()) + data)))


def _number(value: int, labels: Mapping[str, str]) -> bytes:
    """A NumberDataPoint: its start, its time and its value are fixed64."""
    own = b"".join(_field(7, _attribute(key, text)) for key, text in labels.items())
    return own + _fixed(2, BEGAN) + _fixed(3, time.time_ns()) + _fixed(6, value)


def _attribute(key: str, text: str) -> bytes:
    return _field(1, key.encode()) + _field(2, _field(1, text.encode()))


def _fixed(number: int, value: int) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<Q", value)


def _field(number: int, content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content
