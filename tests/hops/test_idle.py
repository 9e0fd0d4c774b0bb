"""Requests that are sent in the moment in which a connection between nginx and a service is closed."""

import asyncio
import os
import signal
from collections import Counter

import pytest

from model import hops
from tests.hops.site import API, APP, TLS, Site

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("PRESENCE360_HOPS_ROUNDS", "1"))
"""`make prove-hops` sets more."""
CLIENTS = 24
"""As many at once; nginx keeps 32 connections to a service for each of its workers."""
APART = 0.02
"""Seconds from the first client's request to the last one's, around the moment."""


class Client:
    """A connection to nginx that stays open, as the load balancer's do."""

    def __init__(self, site: Site, host: str) -> None:
        self.site, self.host = site, host

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.site.port, ssl=TLS)

    async def ask(self, method: str, path: str) -> int:
        body = "Content-Length: 5\r\n\r\nhello" if method == "POST" else "\r\n"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{body}".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "transfer-encoding: chunked" in head:
            await self.reader.readuntil(b"0\r\n\r\n")
        else:
            await self.reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
        return int(head.split()[1])


async def aimed(site: Site, host: str, seconds: float, name: str, rounds: int) -> Counter[int]:
    """Send requests in the same moment, so that each has a connection to the service; and again `seconds` later."""
    clients = [Client(site, host) for _ in range(CLIENTS)]
    await asyncio.gather(*(client.open() for client in clients))

    async def later(number: int, client: Client, began: float) -> int:
        moment = began + seconds + APART * (number / CLIENTS - 0.5)
        await asyncio.sleep(moment - asyncio.get_running_loop().time())
        return await client.ask(("GET", "POST")[number % 2], f"/count/{name}")

    answers: Counter[int] = Counter()
    for _ in range(rounds):
        await asyncio.gather(*(client.ask("GET", f"/count/{name}") for client in clients))
        began = asyncio.get_running_loop().time()
        work = (later(number, client, began) for number, client in enumerate(clients))
        answers.update(await asyncio.gather(*work))
    for client in clients:
        client.writer.transport.abort()
    await asyncio.sleep(0.1)
    return answers


HOSTS = {"tenant-api": API, "web-tenant": APP}


def aim(site: Site, seconds: float, *, rounds: int = 1, stalled: float = 0) -> dict[str, dict[int, int]]:
    """Aim at a moment on both services at the same time; every request is executed once, or the answer is not 200."""
    name = f"{seconds}-{stalled}"

    async def both() -> list[Counter[int]]:
        work = [aimed(site, HOSTS[name_of], seconds, name, rounds) for name_of in site.services]
        if stalled:
            work.append(_stalled(site, seconds - 0.2, stalled))
        return (await asyncio.gather(*work))[: len(site.services)]

    answers = dict(zip(site.services, asyncio.run(both()), strict=True))
    for name_of, found in answers.items():
        assert site.services[name_of].executed()[name] == rounds * CLIENTS + found[200], found
    return {name_of: dict(found) for name_of, found in answers.items()}


async def _stalled(site: Site, after: float, seconds: float) -> Counter[int]:
    """Keep nginx from doing anything for a while, as a machine without a free processor does."""
    await asyncio.sleep(after)
    workers = site.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    return Counter()


def test_no_request_meets_a_connection_that_is_being_closed(site: Site) -> None:
    found = aim(site, hops.UPSTREAM_IDLE_SECONDS, rounds=ROUNDS)
    assert found == {name: {200: ROUNDS * CLIENTS} for name in HOSTS}


def test_an_nginx_that_stalls_meets_none_either(site: Site) -> None:
    """It finds the requests, and beside them the services' ends of connections that they would close after 5 s."""
    found = aim(site, hops.UPSTREAM_IDLE_SECONDS - 0.1, stalled=3)
    assert found == {name: {200: CLIENTS} for name in HOSTS}
