"""Wait until new droplets serve, so that Terraform destroys what they replace only then.

Terraform runs this for every new droplet and every new pool (constructs_lib/droplet_group.py), with Python's standard
library only. A droplet serves when its own status says that it runs what its group's bucket holds (docs/status.md)
and, behind a load balancer, when that finds it healthy as well. A pool serves when its smallest number of droplets do.
Exit codes: 0 if they serve; 1 if they do not, and the old droplets stay; 2 if that cannot be found out, because a key
or an argument is wrong.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model.contract import ContractError
from model.status import DropletStatus, Phase, Result, parse_status, status_key
from ops.digitalocean import Api, Droplet, Spaces
from ops.load_balancer_health import missing_health
from ops.waiting import LIMIT_VARIABLE, SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError, limit

EXIT_NOT_SERVING = 1
EXIT_USAGE = 2

# A first boot installs packages, pulls images and starts services within a few minutes, and a load balancer's metrics
# appear a few minutes after that.
LIMIT_SECONDS = 15 * 60
# That is 8 requests a minute for each droplet, of the 250 that a token has (API documentation, "Rate Limit").
POLL_SECONDS = 15


class FailedError(Exception):
    """A droplet says that it failed, and will not try again by itself."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the state of a group's droplets is read.

    Attributes:
        api: DigitalOcean's API.
        spaces: the Spaces of the group's region.
        bucket: the group's status bucket.
        load_balancer: the id of the load balancer in front of the group, if there is one.
        clock: the clock.
    """

    api: Api
    spaces: Spaces
    bucket: str
    load_balancer: str | None
    clock: Clock

    def droplet(self, droplet_id: str) -> str | None:
        """Return what keeps a droplet from serving; None if it serves.

        Raises:
            FailedError: it does not serve, and says that it will not by itself.
        """
        droplet = self.api.droplet(droplet_id)
        if droplet.status != "active":
            return f"it is {droplet.status}"
        return self._silence(droplet) or self._health(droplet)

    def pool(self, pool_id: str, least: int) -> str | None:
        """Return what keeps a pool from serving; None if at least so many of its droplets serve.

        Raises:
            FailedError: droplets failed, and not enough others are left.
        """
        missing, failed, members = [], [], self.api.members(pool_id)
        for member in members:
            try:
                state = self.droplet(member)
            except FailedError as error:
                failed.append(f"{member}: {error}")
                continue
            except CannotTellError:
                # The pool removed it between the two questions.
                state = "it is gone"
            if state is not None:
                missing.append(f"{member}: {state}")
        serving = len(members) - len(missing) - len(failed)
        if serving >= least:
            return None
        if failed and serving + len(missing) < least:
            raise FailedError("; ".join(failed))
        return f"{serving} of {least} droplets serve" + "".join(f"; {one}" for one in failed + missing)

    def _silence(self, droplet: Droplet) -> str | None:
        content = self.spaces.read(self.bucket, status_key(droplet.id))
        if content is None:
            return "it has not said yet how it is"
        try:
            status = parse_status(content, droplet.id)
        except ContractError as error:
            raise TryAgainError(f"what it says of itself cannot be read ({error})") from None
        return _missing_service(status, self.clock)

    def _health(self, droplet: Droplet) -> str | None:
        if self.load_balancer is None:
            return None
        return missing_health(self.api.health(self.load_balancer, self.clock.now()), droplet)


def _missing_service(status: DropletStatus, clock: Clock) -> str | None:
    if not status.fresh(clock.time()):
        return f"it has been silent since {status.time:%H:%M:%S} UTC (last: {status.phase})"
    said = f"{status.phase}: {status.reason}" if status.reason else str(status.phase)
    if status.result is Result.FAILED or status.phase in {Phase.FAILED, Phase.HELD}:
        raise FailedError(said)
    return None if status.result is Result.OK else f"it is {said}"


def wait(
    state: Callable[[], str | None], *, limit: float, clock: Clock, name: str, poll: float = POLL_SECONDS
) -> bool:
    """Ask for the state until it is None, and print each new one. Return False when the time is up."""
    start = clock.now()
    said = ""
    while True:
        try:
            missing = state()
        except TryAgainError as error:
            missing = str(error)
        elapsed = clock.now() - start
        if missing is None:
            _say(f"{name}: serves, after {elapsed:.0f} s")
            return True
        if missing != said:
            _say(f"{name}: {missing}")
            said = missing
        if elapsed + poll > limit:
            return False
        clock.sleep(poll)


def main(
    arguments: Sequence[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Run the program; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        most = limit(environ, options.limit)
        if most == 0:
            _say(f"{options.name}: not waited for, because {LIMIT_VARIABLE} is 0")
            return 0
        state = _state(options, environ, clock)
        if wait(state, limit=most, clock=clock, name=options.name, poll=options.poll):
            return 0
        problem = f"does not serve after {most:.0f} s."
    except FailedError as error:
        problem = f"{error}."
    except CannotTellError as error:
        _say(f"{options.name}: {error}")
        return EXIT_USAGE
    for line in _advice(options.name, problem):
        _say(line)
    return EXIT_NOT_SERVING


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m ops.wait_until_serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--droplet", metavar="ID")
    what.add_argument("--pool", metavar="ID")
    parser.add_argument("--least", type=int, default=1, help="how many droplets of the pool have to serve")
    parser.add_argument("--name", required=True, help="for messages")
    parser.add_argument(
        "--status", required=True, metavar="BUCKET", help="in which the droplets say how they are"
    )
    parser.add_argument("--region", required=True, help="of that bucket")
    parser.add_argument("--load-balancer", metavar="ID", help="which has to find them healthy as well")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS")
    parser.add_argument("--poll", type=float, default=POLL_SECONDS, metavar="SECONDS")
    return parser


def _state(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> Callable[[], str | None]:
    source = Source(
        api=Api.of(environ),
        spaces=Spaces.of(environ, options.region, clock),
        bucket=options.status,
        load_balancer=options.load_balancer,
        clock=clock,
    )
    if options.pool:
        return lambda: source.pool(options.pool, options.least)
    return lambda: source.droplet(options.droplet)


def _advice(name: str, problem: str) -> Iterator[str]:
    yield f"{name}: {problem} What it replaces, if anything, stays."
    yield f"{name}: read `journalctl --boot` on it, fix the cause, and deploy again."


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
