"""How many requests a client and a church may make, on a droplet whose share is 4 a second."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud_init.rate_limits import PAGE_REQUESTS, zones
from model.droplets import DropletGroupPlan, RateLimitPlan
from tests.hops.site import GRACE, HOPE, Site, until

pytestmark = pytest.mark.slow

FILES = 36
BROWSER = 6
"""Connections that a browser has to one host."""


@pytest.fixture
def fresh(site: Site, plan: DropletGroupPlan, tmp_path: Path) -> Iterator[Site]:
    """An nginx of its own: counts outlive a reload."""
    limits = RateLimitPlan(default=4, overrides={HOPE: 1})
    slugs = ("grace", "hope")
    changed = dataclasses.replace(plan, rate_limits=limits, tenant_slugs=slugs)
    found = Site(tmp_path, changed, {"web-tenant": site.services["web-tenant"]})
    try:
        found.start()
        yield found
    finally:
        found.stop()


def send(site: Site, host: str, client: str, number: int, path: str = "/data/{}") -> Counter[int]:
    """Send requests of one client as a browser does, as fast as they are answered."""

    def some(first: int) -> Counter[int]:
        connection = site.connect(host)
        found: Counter[int] = Counter()
        for one in range(first, number, BROWSER):
            connection.request("GET", path.format(one), headers={"Host": host, "X-Forwarded-For": client})
            response = connection.getresponse()
            response.read()
            found[response.status] += 1
            if response.will_close:  # by a worker that ends after a reload
                connection.close()
                connection = site.connect(host)
        connection.close()
        return found

    with ThreadPoolExecutor(BROWSER) as pool:
        return sum(pool.map(some, range(BROWSER)), Counter[int]())


def both(site: Site, *visits: tuple[str, str, int, str]) -> list[Counter[int]]:
    """Let visitors come at the same time."""
    with ThreadPoolExecutor(len(visits)) as pool:
        return list(pool.map(lambda visit: send(site, *visit), visits))


@pytest.mark.parametrize("host", [GRACE, HOPE])
@pytest.mark.parametrize("second", ["192.0.2.1", "192.0.2.2"], ids=["one address", "two addresses"])
def test_two_visitors_load_a_page_in_the_same_second(fresh: Site, host: str, second: str) -> None:
    """HTML and 36 files, also if none of them were static, and also of a church that has a request a second."""
    found = both(fresh, (host, "192.0.2.1", FILES + 1, "/data/{}"), (host, second, FILES + 1, "/data/{}"))
    assert found == [Counter({200: FILES + 1})] * 2


def test_static_files_are_not_counted(fresh: Site) -> None:
    static = "/_next/static/chunks/{}.js"
    assert send(fresh, GRACE, "192.0.2.1", 500, static) == {200: 500}
    assert send(fresh, GRACE, "192.0.2.1", FILES) == {200: FILES}


@pytest.mark.parametrize(
    "path",
    [
        "/_next/static/../../data/{}",
        "/_next/static/..%2f..%2fdata/{}",
        "/_next/staticdata/{}",
        "/_NEXT/static/{}",
    ],
)
def test_what_only_looks_static_is_counted(fresh: Site, path: str) -> None:
    assert send(fresh, GRACE, "192.0.2.1", 200, path)[429] > 20


def test_static_files_are_only_read(fresh: Site) -> None:
    response, _ = fresh.ask("/_next/static/a.js", GRACE, method="POST", body=b"x")
    assert response.status == 403


def test_one_client_takes_no_more_than_half_and_the_others_are_served(fresh: Site) -> None:
    first = send(fresh, GRACE, "192.0.2.1", 400)
    # A burst of 80, and two more in each second that it took.
    assert 80 <= first[200] < 200
    greedy, church, other = both(
        fresh,
        (GRACE, "192.0.2.1", 400, "/data/{}"),
        (GRACE, "192.0.2.2", FILES, "/data/{}"),
        (HOPE, "192.0.2.3", FILES, "/data/{}"),
    )
    assert greedy[429] > 300
    assert church == other == {200: FILES}


def test_a_church_that_takes_all_leaves_other_churches_theirs(fresh: Site) -> None:
    crowd = [(GRACE, f"192.0.2.{number}", 90, "/data/{}") for number in range(1, 6)]
    *found, other = both(fresh, *crowd, (HOPE, "192.0.2.1", FILES, "/data/{}"))
    assert sum(found, Counter[int]())[429] > 100
    assert other == {200: FILES}


def test_an_ipv6_client_is_a_network_of_64_bits(fresh: Site) -> None:
    network = [f"2001:db8:1:2::{number:x}" for number in range(1, 9)]
    counts = both(fresh, *((GRACE, address, 30, "/data/{}") for address in network))
    assert sum(counts, Counter[int]())[429] > 50
    assert send(fresh, GRACE, "2001:db8:1:3::1", 20) == {200: 20}


def test_ipv4_addresses_that_are_written_as_ipv6_are_clients_of_their_own(fresh: Site) -> None:
    assert send(fresh, GRACE, "::ffff:192.0.2.1", 150)[429] > 20
    assert send(fresh, GRACE, "::ffff:192.0.2.2", 20) == {200: 20}
    assert send(fresh, GRACE, "192.0.2.1", 60)[429] > 40


def test_who_asks_for_too_much_is_told_when_to_come_back(fresh: Site) -> None:
    send(fresh, GRACE, "192.0.2.1", 150)
    response, body = fresh.ask("/data/1", GRACE, X_Forwarded_For="192.0.2.1", User_Agent="busy")
    assert response.status == 429
    assert response.headers["Retry-After"] == "5"
    assert response.headers["RateLimit-Policy"] == '"client";q=80;w=40, "church";q=160;w=40'
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"try again in a few seconds" in body
    (entry,) = fresh.logged("busy")
    assert (entry["status"], entry["limit"], entry["upstream"]) == ("429", "REJECTED", "")


def test_a_reload_keeps_the_counts(fresh: Site) -> None:
    assert send(fresh, GRACE, "192.0.2.1", 150)[429] > 20
    old = fresh.workers()
    fresh.reload()
    until("the old workers are gone", lambda: not old & fresh.workers())
    assert send(fresh, GRACE, "192.0.2.1", 60)[429] > 20


@pytest.mark.parametrize("rate", [1, 7, 20, 1000])
def test_a_page_fits_whatever_the_rate(rate: int) -> None:
    (zone,) = zones(RateLimitPlan(default=rate, overrides={}))
    assert zone.client_burst >= PAGE_REQUESTS
    assert zone.burst == 2 * zone.client_burst
    assert zone.client_rate_per_minute * 2 == rate * 60
