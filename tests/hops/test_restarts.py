"""Requests while nginx is reloaded, and while a service is restarted: each is executed once, or not at all."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from model.droplets import DropletGroupPlan
from tests.hops.site import API, APP, Site, running, service, until

pytestmark = pytest.mark.slow

HOSTS = {"tenant-api": API, "web-tenant": APP}


@dataclass
class Load:
    """Clients that send GET and POST on connections that stay open, each request with a name of its own.

    They send a request again if nginx closes the connection and says nothing, as after a reload (docs/requests.md).
    """

    site: Site
    statuses: dict[str, int] = field(default_factory=dict)
    """By request."""
    repeated: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def send(self, service: str, client: int) -> None:
        connection = self.site.connect(HOSTS[service])
        number = 0
        while not self.stopping.is_set():
            number += 1
            name = f"{service}-{client}-{number}"
            method, body = (("GET", None), ("POST", b"hello"))[number % 2]
            while name not in self.statuses:
                try:
                    connection.request(method, f"/count/{name}", body=body, headers={"Host": HOSTS[service]})
                    response = connection.getresponse()
                    response.read()
                    self.statuses[name] = response.status
                except OSError:
                    self.repeated += 1
                if name not in self.statuses or response.will_close:
                    connection.close()
                    connection = self.site.connect(HOSTS[service])
        connection.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send for as long as the block lasts."""
        work = [(service, client) for service in self.site.services for client in range(4)]
        threads = [threading.Thread(target=self.send, args=one) for one in work]
        for thread in threads:
            thread.start()
        yield
        until("more than a hundred are answered", lambda: len(self.answered()) > 100)
        self.stopping.set()
        for thread in threads:
            thread.join()

    def answered(self) -> set[str]:
        """Return the requests that a service answered."""
        return {name for name, status in list(self.statuses.items()) if status == 200}

    def check(self) -> None:
        """Compare what clients were told with what the services did."""
        executed: dict[str, int] = {}
        for one in self.site.services.values():
            executed |= one.executed()
        assert {name: count for name, count in executed.items() if count != 1} == {}
        assert self.answered() <= set(executed)


@pytest.fixture
def both(plan: DropletGroupPlan, tmp_path: Path) -> Iterator[Site]:
    """A site with a service of each kind, for one test."""
    services = {name: service(name, tmp_path) for name in HOSTS}
    with running(Site(tmp_path, plan, services)) as site:
        yield site


def test_a_reload_of_nginx_loses_no_request(both: Site) -> None:
    load = Load(both)
    with load.running():
        for _ in range(3):
            both.reload()
    load.check()
    assert set(load.statuses.values()) == {200}


def test_a_service_that_restarts_executes_no_request_twice(both: Site) -> None:
    """While it is away nginx answers 502: converge drains a droplet before, and the load balancer sends nothing."""
    load = Load(both)
    with load.running():
        for one in both.services.values():
            one.stop()
            one.start()
    load.check()
    assert set(load.statuses.values()) == {200, 502}


def test_what_is_under_way_ends_before_a_service_does(both: Site) -> None:
    """As after a drain: requests have begun, and no others come."""
    connections = {name: both.connect(host) for name, host in HOSTS.items()}
    paths = {"tenant-api": "/slow?seconds=1", "web-tenant": "/html"}
    for name, connection in connections.items():
        connection.request("GET", paths[name], headers={"Host": HOSTS[name]})
    began = time.monotonic()
    time.sleep(0.2)
    for one in both.services.values():
        one.stop()
    # Node.js waits for nginx, which closes its idle connections after 4 s.
    assert 0.9 < time.monotonic() - began < 15
    for connection in connections.values():
        response = connection.getresponse()
        assert (response.status, len(response.read()) > 5) == (200, True)
        connection.close()
