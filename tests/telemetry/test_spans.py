"""What is kept of spans, and what a message may cost that was made to be slow."""

import pytest

from droplet.traces.spans import FIELDS, LONGEST, without_people
from droplet.traces.wire import MalformedError, with_length


def named(name: str | bytes) -> bytes:
    """Return a request of one span."""
    text = name.encode() if isinstance(name, str) else name
    return with_length(1, with_length(2, with_length(2, with_length(5, text))))


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\x00" * 2**21,
        with_length(1, with_length(2, b"\x12\x00" * (2**21 - 20))),
        with_length(1, with_length(2, with_length(2, b"\x4a\x00" * (2**21 - 20)))),
        # A number that no rule names.
        b"\x78\x00" * 2**21,
    ],
    ids=["resources", "spans", "attributes", "unknown"],
)
def test_a_message_of_more_fields_than_any_service_sends_is_refused(content: bytes) -> None:
    """4 MiB of them, 4 KB when packed: 19 s of CPU and 308 MiB without a limit."""
    with pytest.raises(MalformedError, match="too many fields"):
        without_people(content)


def test_what_an_sdk_sends_at_once_is_read() -> None:
    attribute = with_length(9, with_length(1, b"http.route") + with_length(2, with_length(1, b"/x")))
    request = with_length(1, with_length(2, with_length(2, with_length(5, b"GET") + attribute * 40) * 512))
    assert FIELDS > 512 * 40 * 4
    assert without_people(request) == (request, 512)


def test_what_is_empty_is_not_handed_on() -> None:
    empty = with_length(1, b"") + with_length(1, with_length(2, with_length(2, b"")))
    assert without_people(empty * 100) == (b"", 0)
    assert without_people(empty + named("GET")) == (named("GET"), 1)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("!" * 2**16, "*"),
        (f"{'x' * 38} " * 30, (f"{'x' * 38} " * 30)[:LONGEST]),
        # Where it is cut, half of an address is left.
        (f"{'x' * 992} ada.lovelace@example.org", "* *"),
        (f"{'x' * 998} \u00e9\u00e9", "* "),
    ],
)
def test_of_a_long_text_only_the_beginning_is_looked_at(text: str, left: str) -> None:
    assert without_people(named(text)) == (named(left), 1)
