"""Times as droplets write them, and as an API does."""

from datetime import UTC, datetime

import pytest

from model.contract import instant, number

AT = datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-27T01:02:03Z", "2026-11-27T01:02:03+00:00", "2026-11-27T02:02:03.5+01:00"]
)
def test_a_time_of_an_api_is_read_in_any_zone(text: str) -> None:
    assert instant(text).replace(microsecond=0) == AT
    assert instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "value", ["2026-11-27T01:02:03", "2026-11-27", "yesterday", "", None, 1795741323, ["x"]]
)
def test_what_is_no_time_is_an_error_that_its_reader_expects(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        instant(value)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 1e300])
def test_what_is_no_number_is_an_error(value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        number(value)
    assert number(1) == number(1.0)
