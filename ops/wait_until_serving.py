"""Wait until a new droplet serves, so that Terraform removes its predecessor only then.

Terraform runs this for every new droplet (constructs_lib/droplet_group.py), with Python's standard library only.
Behind a load balancer a droplet serves when the load balancer reports that it passes its health checks. Without a load
balancer it serves once it has been running for a while. Exit codes: 0 if it serves; 1 if it does not, and the old
droplet stays; 2 if that cannot be found out, because the token or an argument is wrong.
"""

import argparse
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EXIT_NOT_SERVING = 1
EXIT_USAGE = 2

LIMIT_VARIABLE = "PRESENCE360_WAIT_SECONDS"
"""Overrides the time limit. With 0 it does not wait at all: for an environment whose images are not pushed yet."""

# A first boot installs packages, pulls images and starts services within a few minutes, and metrics appear a few
# minutes after that.
LIMIT_SECONDS = 15 * 60
# That is 8 requests a minute for each droplet, of the 250 that a token has (API documentation, "Rate Limit").
POLL_SECONDS = 15
REQUEST_SECONDS = 10
# A sample is taken about every two minutes: a longer window never misses the last one.
WINDOW_SECONDS = 10 * 60

# All checks of the last sample passed. The OpenAPI document leaves the unit open: its example of a metric has a
# Boolean, and recordings of this metric have percent.
HEALTHY = frozenset({1.0, 100.0})

HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND = 401, 403, 404


class CannotTellError(Exception):
    """The state cannot be found out, and asking again does not help."""


class TryAgainError(Exception):
    """The API did not answer this time."""


@dataclass(frozen=True)
class Droplet:
    """A droplet as the API describes it.

    Attributes:
        status: ``new``, ``active``, ``off`` or ``archive``.
        names: what a metric may call it: its id, its name, its addresses.
    """

    status: str
    names: frozenset[str]


@dataclass(frozen=True)
class Clock:
    """The clock, which tests replace."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class Api:
    """The two endpoints of DigitalOcean's API that this program reads."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Api":
        """Take address and token from the variables that the provider reads."""
        token = environ.get("DIGITALOCEAN_TOKEN") or environ.get("DIGITALOCEAN_ACCESS_TOKEN")
        if not token:
            raise CannotTellError("DIGITALOCEAN_TOKEN is not set; see .env.example")
        url = environ.get("DIGITALOCEAN_API_URL") or "https://api.digitalocean.com"
        if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
            raise CannotTellError(f"DIGITALOCEAN_API_URL is not an address: {url!r}")
        return cls(url, token)

    def droplet(self, droplet_id: str) -> Droplet:
        """Return a droplet."""
        droplet = self._get(f"/v2/droplets/{urllib.parse.quote(droplet_id, safe='')}")["droplet"]
        addresses = [network["ip_address"] for network in droplet.get("networks", {}).get("v4", [])]
        return Droplet(droplet["status"], frozenset({droplet_id, droplet["name"], *addresses}))

    def health(self, load_balancer: str, until: float) -> list[Any]:
        """Return what a load balancer reports on its droplets: one series per droplet, as Prometheus writes them.

        OpenAPI document, monitoring_get_lb_droplets_health_checks.
        """
        query = urllib.parse.urlencode(
            {"lb_id": load_balancer, "start": int(until) - WINDOW_SECONDS, "end": int(until)}
        )
        answer = self._get(f"/v2/monitoring/metrics/load_balancer/droplets_health_checks?{query}")
        return list(answer["data"]["result"])

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 (the scheme is checked above)
            self._url + path, headers={"Authorization": f"Bearer {self._token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code in {HTTP_UNAUTHORIZED, HTTP_FORBIDDEN}:
                raise CannotTellError(
                    f"the API answered {error.code} to {path.partition('?')[0]}: "
                    "the token needs the scopes droplet:read and monitoring:read"
                ) from None
            if error.code == HTTP_NOT_FOUND and "/droplets/" in path:
                raise CannotTellError("the droplet is gone") from None
            raise TryAgainError(f"the API answered {error.code}") from None
        except (OSError, ValueError) as error:
            raise TryAgainError(f"the API did not answer: {error}") from None


def state_behind(series: Sequence[Any], droplet: Droplet) -> str | None:
    """Return what keeps a droplet from serving, according to its load balancer; None if it is healthy.

    The document does not say which label names the droplet. Any label that holds its id, its name or an address of it
    does: no other droplet has these, and a predecessor has another name.
    """
    others: set[str] = set()
    for one in series:
        labels = {key: value for key, value in one["metric"].items() if key not in {"lb_id", "region"}}
        if not any(_names(value, droplet.names) for value in labels.values()):
            others.update(labels.values())
            continue
        samples = sorted((float(at), float(value)) for at, value in one["values"])
        if not samples:
            return "the load balancer has not checked it yet"
        if samples[-1][1] in HEALTHY:
            return None
        return f"it fails its health checks (last result {samples[-1][1]:g})"
    known = ", ".join(sorted(others)) or "no droplet"
    return f"the load balancer does not know it yet (it reports on {known})"


def _names(label: str, names: frozenset[str]) -> bool:
    return any(_is_in(label, name) for name in names)


def _is_in(label: str, name: str) -> bool:
    """Whether a label holds a name as a whole, not an id or address that only begins or ends with it."""
    if name[-1:].isdigit() and not any(letter.isalpha() for letter in name):
        return re.search(rf"(?<![\d.]){re.escape(name)}(?!\.?\d)", label) is not None
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", label) is not None


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


def behind_load_balancer(
    api: Api, droplet_id: str, load_balancer: str, clock: Clock
) -> Callable[[], str | None]:
    """Return the state by the load balancer's report."""

    def state() -> str | None:
        droplet = api.droplet(droplet_id)
        if droplet.status != "active":
            return f"it is {droplet.status}"
        return state_behind(api.health(load_balancer, clock.now()), droplet)

    return state


def settled(api: Api, droplet_id: str, seconds: float, clock: Clock) -> Callable[[], str | None]:
    """Return the state by how long the droplet has been running."""
    since: list[float] = []

    def state() -> str | None:
        droplet = api.droplet(droplet_id)
        if droplet.status != "active":
            since.clear()
            return f"it is {droplet.status}"
        since.append(clock.now())
        return None if clock.now() - since[0] >= seconds else f"it is active; {seconds:g} s to settle"

    return state


def main(
    arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ, clock: Clock = Clock()
) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--droplet", required=True, metavar="ID")
    parser.add_argument("--name", required=True, help="for messages")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--load-balancer", metavar="ID", help="whose health checks decide")
    how.add_argument("--settle", type=float, metavar="SECONDS", help="how long to run is enough, without one")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, metavar="SECONDS")
    parser.add_argument("--poll", type=float, default=POLL_SECONDS, metavar="SECONDS")
    options = parser.parse_args(arguments)
    try:
        limit = _limit(environ, options.limit)
        if limit == 0:
            _say(f"{options.name}: not waited for, because {LIMIT_VARIABLE} is 0")
            return 0
        api = Api.of(environ)
        if options.load_balancer:
            state = behind_load_balancer(api, options.droplet, options.load_balancer, clock)
        else:
            state = settled(api, options.droplet, options.settle, clock)
        if wait(state, limit=limit, clock=clock, name=options.name, poll=options.poll):
            return 0
    except CannotTellError as error:
        _say(f"{options.name}: {error}")
        return EXIT_USAGE
    for line in _advice(options.name, limit):
        _say(line)
    return EXIT_NOT_SERVING


def _limit(environ: Mapping[str, str], usual: float) -> float:
    written = environ.get(LIMIT_VARIABLE)
    if not written:
        return usual
    if not written.isdigit():
        raise CannotTellError(f"{LIMIT_VARIABLE} is not a number of seconds: {written!r}")
    return float(written)


def _advice(name: str, limit: float) -> Iterator[str]:
    yield f"{name}: does not serve after {limit:.0f} s. The droplet that it replaces, if any, stays."
    yield f"{name}: read `journalctl --boot` on it, fix the cause, and deploy again."


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
