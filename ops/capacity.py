"""Say how much room there is: `python -m ops.capacity`. Used, limit, and for how many more tenants it lasts."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.capacity import REQUESTS_PER_MINUTE, WARN_AT, Use, room, uses
from model.errors import InvalidInputError
from model.loader import Environment, load_environments

ROOT = Path(__file__).parent.parent
EXIT_INVALID_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each environment; 2 when its files are not valid, which what is used up makes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--environments", type=Path, default=ROOT / "environments", help="the operators' files"
    )
    options = parser.parse_args(arguments)
    try:
        environments = load_environments(options.environments)
    except InvalidInputError as error:
        print(error, file=sys.stderr)
        return EXIT_INVALID_INPUT
    print("\n\n".join("\n".join(table(environment)) for environment in environments))
    return 0


def table(environment: Environment) -> Iterator[str]:
    """Return the lines of one environment's table."""
    found = list(uses(environment.file, environment.tenants))
    rows = [(use.what, f"{use.used:,}", f"{use.limit:,}", f"{_percent(use)} %", _room(use)) for use in found]
    heading = (environment.file.environment, "used", "limit", "", "room for tenants")
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        what, *numbers = row
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        yield "  ".join([what.ljust(widths[0]), *cells]).rstrip()
    requests = sum(use.used for use in found if use.requests)
    yield f"room for {room(found)} more tenants with the usual limits, without a larger cluster or another cell"
    yield (
        f"a plan of all of it: {requests:,} API requests, at least {-(-requests // REQUESTS_PER_MINUTE)} min "
        f"at DigitalOcean's {REQUESTS_PER_MINUTE} a minute"
    )
    yield "droplets behind a load balancer: found by tag, for which DigitalOcean has no limit"
    if any(use.used > WARN_AT * use.limit for use in found):
        yield "! more than 80 percent is used"


def _percent(use: Use) -> int:
    return 100 * use.used // use.limit


def _room(use: Use) -> str:
    mark = " !" if use.used > WARN_AT * use.limit else ""
    return ("-" if use.headroom is None else str(use.headroom)) + mark


if __name__ == "__main__":
    sys.exit(main())
