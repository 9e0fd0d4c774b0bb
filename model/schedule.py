"""When a scheduled job runs: cron's five fields, in UTC, worked out so that a droplet has nothing to parse.

The fields and their forms are those of crontab(5) of Debian's cron: lists, ranges, steps, and names of months and days.
Not taken: a day of the month beside a day of the week, because cron runs such a job on either, and few expect that.
"""

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
# Sunday is 0 and 7.
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}

_LONGEST_MONTHS = {month: 29 if month == 2 else calendar.monthrange(2001, month)[1] for month in range(1, 13)}  # noqa: PLR2004  February


@dataclass(frozen=True)
class _Field:
    """One of the five.

    Attributes:
        name: as people call it.
        first: the smallest number.
        last: the largest.
        names: that may stand for numbers.
    """

    name: str
    first: int
    last: int
    names: Mapping[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


class ScheduleError(ValueError):
    """A schedule that cron would not take, or would run at times that few expect."""


@dataclass(frozen=True)
class Schedule:
    """The times at which a job is due: those whose every part is listed. None stands for any.

    Attributes:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 1, Monday, to 7, Sunday (ISO 8601).
    """

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None

    @classmethod
    def read(cls, text: str) -> "Schedule":
        """Read cron's five fields.

        Raises:
            ScheduleError: it does not say when.
        """
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ScheduleError(f"these are {len(parts)} fields, not five")
        minutes, hours, days, months, weekdays = (
            None if part == "*" else _numbers(field, part) for field, part in zip(_FIELDS, parts, strict=True)
        )
        if days and weekdays:
            raise ScheduleError(
                "it names days of the month and days of the week: cron would run it on either"
            )
        if days and min(days) > max(_LONGEST_MONTHS[month] for month in months or _LONGEST_MONTHS):
            raise ScheduleError("no year has such a date")
        if weekdays:
            weekdays = tuple(sorted({number or 7 for number in weekdays}))
        return cls(minutes, hours, days, months, weekdays)

    def as_json(self) -> dict[str, Sequence[int] | None]:
        """Return what a droplet is told (droplet/jobs/schedule.py)."""
        return {
            "minutes": self.minutes,
            "hours": self.hours,
            "days": self.days,
            "months": self.months,
            "weekdays": self.weekdays,
        }


def _numbers(field: _Field, text: str) -> tuple[int, ...]:
    return tuple(sorted({number for part in text.split(",") for number in _of_part(field, part)}))


def _of_part(field: _Field, part: str) -> Iterator[int]:
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    if span == "*":
        begin, end = field.first, field.last - (field.names is _WEEKDAYS)
    else:
        begin = _number(field, first)
        end = _number(field, last) if dash else begin
    if begin > end:
        raise ScheduleError(f"{field.name}: {part!r} ends before it begins")
    if slash and not (step.isascii() and step.isdigit() and int(step)):
        raise ScheduleError(f"{field.name}: {part!r} has no step after /")
    if slash and span != "*" and not dash:
        raise ScheduleError(f"{field.name}: {part!r} has a step, and no range for it")
    yield from range(begin, end + 1, int(step) if slash else 1)


def _number(field: _Field, text: str) -> int:
    number = field.names.get(text.lower())
    if number is None and text.isascii() and text.isdigit():
        number = int(text)
    if number is None or not field.first <= number <= field.last:
        allowed = f"{field.first} to {field.last}" + (f", or {', '.join(field.names)}" if field.names else "")
        raise ScheduleError(f"{field.name}: {text!r} is not allowed, only {allowed}")
    return number
