"""FastAPI, Celery and Next.js as the contract wants them (docs/services.md), on a booted droplet with real data.

The images are lab/services'. They run here alone. In the other files a service is ill, slow or of another version on
purpose, and starts some hundred times: the stand-in does that in a tenth of a second.
"""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")

from tests.droplets.laboratory import Answer, Droplet, ask_https, eventually, open_tls
from tests.droplets.real_services import (
    API,
    CONTROL,
    STOP_SECONDS,
    TASK_SECONDS,
    WEB,
    RealServices,
    container,
)

pytestmark = pytest.mark.nightly("droplets")


def people(services: RealServices) -> str:
    return f"/tenants/{services.tenant.id}/people"


def test_every_service_does_its_work_with_what_it_gets(services: RealServices) -> None:
    droplet = services.droplet
    names = [person["name"] for person in droplet.ask(API, people(services)).json]
    assert names == ["Ada", "Grace", "Mary"]
    assert droplet.ask(CONTROL, "/database").json == {"user": "control_plane", "tls": "TLSv1.3"}
    page = droplet.ask(WEB, "/").body
    # Read when it runs: the image knows no environment.
    assert page.count("<h1>grace</h1>") == 1
    assert page.count("https://api.staging.presence360.app") >= 1


def test_a_tenant_without_credentials_is_not_served(services: RealServices) -> None:
    answer = services.droplet.ask(API, "/tenants/00000000-0000-4000-8000-000000000009/people")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert (answer.status, headers.get("retry-after"), headers.get("cache-control")) == (
        503,
        "3600",
        "no-store",
    )


def test_a_request_is_found_in_every_log_by_its_id_and_tenant(services: RealServices) -> None:
    _, request = services.export(0)
    found = {"request_id": request, "tenant": services.tenant.id}
    eventually("the worker is done", 20, lambda: services.said("worker", "export ends", **found))
    (line,) = services.said("tenant-api", "request", **found)
    assert (line["path"], line["status"]) == (f"/tenants/{services.tenant.id}/exports", 202)
    # uvicorn's own lines are JSON, too, and nobody logs query strings.
    shown = services.droplet.sh(f"docker logs {container('tenant-api')} 2>&1")
    assert [line for line in shown.splitlines() if not line.startswith("{")] == []
    assert shown.count("seconds=0") == 0
    services.droplet.ask(WEB, "/", headers={"User-Agent": "a page"})
    assert services.said("web-tenant", "page", tenant="grace")[-1]["request_id"]


PERSON, NAME, PHONE, TOKEN = "ada.lovelace@example.org", "Ada Lovelace", "+233241234567", 20 * "ab1"


def test_what_people_send_is_in_no_log(services: RealServices) -> None:
    """By nginx, FastAPI, Celery and Next.js: the journal is all that leaves a droplet."""
    droplet = services.droplet
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Cookie": f"session={TOKEN}",
        "Referer": f"https://example.org/?email={PERSON}",
        "Content-Type": "application/json",
        "X-Request-ID": TOKEN,
        "traceparent": f"00-{TOKEN[:32]}-{TOKEN[:16]}-01",
    }
    query = f"?email={PERSON}&token={TOKEN}&name={NAME.replace(' ', '+')}&phone={PHONE[1:]}"
    for host, path in ((API, people(services)), (API, "/nowhere"), (CONTROL, "/database"), (WEB, "/sermons")):
        droplet.ask(host, f"{path}{query}", headers=headers)
    for last in (PERSON, PHONE, TOKEN):
        droplet.ask(API, f"/invitations/{last}/accept{query}", headers=headers)
        droplet.ask(WEB, f"/invitations/{last}{query}", headers=headers)
    body = json.dumps({"name": NAME, "email": PERSON, "phone": PHONE}).encode()
    assert droplet.ask(API, people(services), headers=headers, body=body).status == 201
    # What is no JSON, and a body that FastAPI refuses and could quote.
    droplet.ask(API, people(services), headers=headers, body=f"{NAME} {PERSON}".encode())
    droplet.ask(API, people(services), headers=headers, body=json.dumps({"nome": NAME}).encode())
    _, request = services.export(0)
    eventually("the worker is done", 40, lambda: services.said("worker", "export ends", request_id=request))
    droplet.sh("journalctl --flush --sync")
    shown = droplet.sh("journalctl --output=json --since=-15min --no-pager")
    # All of it is there, and nothing of them.
    assert shown.count("/invitations/*") >= 6
    for identifier in ("nginx", "tenant-api", "worker", "web-tenant"):
        assert shown.count(f'"SYSLOG_IDENTIFIER":"{identifier}"') > 0
    words = (PERSON, "ada.lovelace", "Lovelace", PHONE[1:], TOKEN, "email=", "Bearer")
    for word in (*words, *services.secrets):
        assert shown.count(word) == 0, word


def test_pages_are_rendered_again_although_the_image_is_read_only(services: RealServices) -> None:
    def rendered() -> str:
        found = re.search(r'id="rendered">([^<]+)<', services.droplet.ask(WEB, "/sermons").body)
        assert found
        return found[1]

    before = rendered()
    eventually("another one is rendered", 20, lambda: rendered() != before, pause=2)
    shown = services.droplet.sh(f"docker logs {container('web-tenant')} 2>&1")
    assert (shown.count("EROFS"), shown.count("Error")) == (0, 0)


@contextmanager
def frozen(*processes: int) -> Iterator[None]:
    """Stop processes, and those that they began, for as long as the block lasts."""

    def send(number: signal.Signals) -> None:
        for process in processes:
            below = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            for one in (process, *map(int, below)):
                os.kill(one, number)

    send(signal.SIGSTOP)
    try:
        yield
    finally:
        send(signal.SIGCONT)


def test_health_does_not_ask_what_all_droplets_share(services: RealServices) -> None:
    """Postgres and Valkey answer nothing, and every thread of the API waits for them."""
    droplet, network = services.droplet, services.laboratory.network
    waiting: list[str] = []

    def wait() -> None:
        try:
            waiting.append(str(ask_https(droplet.address, API, people(services)).status))
        except OSError as error:
            waiting.append(type(error).__name__)

    clients = [threading.Thread(target=network.inside, args=(wait,)) for _ in range(60)]
    with frozen(services.postgres.process.pid, services.valkey.process.pid):
        for client in clients:
            client.start()
        time.sleep(2)
        for _ in range(6):
            began = time.monotonic()
            answers = [droplet.ask(host, "/healthz").status for host in (API, CONTROL, WEB)]
            assert answers == [200, 200, 200]
            assert time.monotonic() - began < 2
            assert droplet.health.status == 200
            time.sleep(1)
        for client in clients:
            client.join()
    # No request got what it asked for, which shows that they waited.
    assert set(waiting) & {"200"} == set()
    eventually("people are listed again", 40, lambda: droplet.ask(API, people(services)).status == 200)
    assert services.state("tenant-api")["Health"]["Status"] == "healthy"


def test_a_worker_finds_a_valkey_that_was_away(services: RealServices) -> None:
    started = services.state("worker")["StartedAt"]
    services.restart_valkey()
    eventually("a job is given", 30, lambda: services.export(0))
    _, request = services.export(0)
    eventually("and done", 60, lambda: services.said("worker", "export ends", request_id=request))
    assert services.state("worker")["StartedAt"] == started


def _read(droplet: Droplet, host: str, path: str, more: str = "Connection: close\r\n") -> tuple[float, bytes]:
    """Read an answer to its end, for a thread in the namespace; return when it ended, and all of it."""
    with open_tls(droplet.address, host) as connection:
        connection.settimeout(60)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
            if received.endswith(_CLOSE_FRAME):
                break
        return time.monotonic(), received


_CLOSE_FRAME = bytes((0x88, 2)) + (1012).to_bytes(2, "big")
"""RFC 6455: "service restart"."""
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def test_services_end_in_time_and_lose_nothing(services: RealServices) -> None:
    """SIGTERM with streams and a WebSocket open, a task that ends in time and one that does not."""
    droplet, network, tenant = services.droplet, services.laboratory.network, services.tenant.id
    long, long_request = services.export(100)
    _, short_request = services.export(1)

    def begun() -> bool:
        found = (
            services.said("worker", "export begins", request_id=one) for one in (long_request, short_request)
        )
        return all(found)

    eventually("both tasks run", 20, begun, pause=0.2)

    def stop(service: str) -> tuple[float, float, int]:
        began = time.monotonic()
        code = droplet.sh(f"docker stop {container(service)} >/dev/null; docker wait {container(service)}")
        return began, time.monotonic() - began, int(code)

    asked = {
        "events": (API, f"/tenants/{tenant}/exports/{long}/events"),
        "live": (WEB, "/live"),
        "socket": (API, "/echo", _UPGRADE),
    }
    with droplet.not_converging(), ThreadPoolExecutor() as pool:
        streams = {
            name: pool.submit(network.inside, lambda ask=ask: _read(droplet, *ask))
            for name, ask in asked.items()
        }
        time.sleep(3)
        stopping = {name: pool.submit(stop, name) for name in ("tenant-api", "worker", "web-tenant")}
        try:
            stopped = {name: done.result() for name, done in stopping.items()}
            queued = services.ask_valkey("LLEN", "celery")
            unacknowledged = services.ask_valkey("HLEN", "unacked")
        finally:
            droplet.sh(f"docker start {' '.join(map(container, stopping))}")
        ended = {name: done.result() for name, done in streams.items()}
    # 137 would be SIGKILL: Docker gave up on it.
    assert {name: code for name, (_, _, code) in stopped.items() if code == 137} == {}
    began, seconds, _ = stopped["tenant-api"]
    # As long as its stream may last; the WebSocket is told at once.
    assert seconds > STOP_SECONDS - 1
    assert ended["socket"][1].endswith(_CLOSE_FRAME)
    assert ended["socket"][0] < began + seconds - 1
    assert ended["events"][1].count(b"data: ") >= 3
    # Next.js would wait for the stream until it is killed; the route ends it. What remains is an idle connection.
    assert ended["live"][0] - began < 2 * STOP_SECONDS
    assert ended["live"][1].count(b"data: ") >= 1
    # What ended in time ran once; the other is in its queue again, and runs again.
    assert (queued, unacknowledged) == ("1", "0")
    eventually(
        "it runs again",
        60,
        lambda: len(services.said("worker", "export begins", request_id=long_request)) == 2,
    )
    for message in ("export begins", "export ends"):
        assert len(services.said("worker", message, request_id=short_request)) == 1


def test_a_process_of_the_pool_that_hangs_is_found_by_the_time_limit_alone(services: RealServices) -> None:
    """In a task: Celery counts from the moment in which the process says that it has begun one."""
    droplet = services.droplet
    started = services.state("worker")["StartedAt"]
    _, children = services.pool()
    # Nothing else runs, so each of the two takes one.
    eventually("the worker is idle", 3 * TASK_SECONDS, lambda: services.ask_valkey("HLEN", "unacked") == "0")
    requests = [services.export(100)[1] for _ in children]

    def begun() -> bool:
        return all(services.said("worker", "export begins", request_id=request) for request in requests)

    eventually("each has a task", TASK_SECONDS / 2, begun, pause=0.2)
    _, children = services.pool()
    droplet.sh(f"kill -STOP {' '.join(children)}")

    def beats() -> bool:
        age = "import os, time; print(time.time() - os.stat('/tmp/heartbeat').st_mtime)"
        return float(droplet.sh(f'docker exec {container("worker")} python -c "{age}"')) < 10

    time.sleep(TASK_SECONDS / 2)
    assert beats()
    try:
        eventually("both are replaced", 2 * TASK_SECONDS, lambda: not set(services.pool()[1]) & set(children))
    except AssertionError as error:
        shown = droplet.sh(f"docker logs --tail 30 {container('worker')} 2>&1; ps -ef")
        raise AssertionError(f"{error}\n{children}\n{shown}") from None
    _, request = services.export(0)
    eventually("work goes on", 20, lambda: services.said("worker", "export ends", request_id=request))
    assert services.state("worker")["StartedAt"] == started


def test_a_worker_that_hangs_is_restarted_and_shows(services: RealServices) -> None:
    droplet = services.droplet
    started = services.state("worker")["StartedAt"]
    main, _ = services.pool()
    droplet.sh(f"kill -STOP {main}")
    # Its last heartbeat was long ago.
    old = "import os; os.utime('/tmp/heartbeat', (1, 1))"
    droplet.sh(f'docker exec {container("worker")} python -c "{old}"')
    sample = 'presence360_service_healthy{service="worker"}'
    eventually("it shows", 150, lambda: droplet.metrics[sample] == 0)
    status = services.laboratory.configuration.status
    eventually("it says so", 60, lambda: status(droplet).reason == "unhealthy: worker")
    # What has nothing to do with it serves.
    assert droplet.health.status == 200
    eventually("it is healthy again", 120, lambda: droplet.metrics[sample] == 1)
    assert services.state("worker")["StartedAt"] != started
    assert "worker is unhealthy, so restarted" in droplet.journal("presence360-converge")


MEMORY = Path("/sys/fs/cgroup/memory")


def test_a_service_that_takes_too_much_memory_dies_alone(services: RealServices) -> None:
    """The machine's kernel has no memory controller for Docker here, so the test sets the limit from outside."""
    if not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("no memory controller of cgroup v1 to limit a process with from outside")
    droplet = services.droplet
    before = {
        name: services.state(name) for name in ("tenant-api", "control-plane-api", "web-tenant", "worker")
    }
    group = MEMORY / f"{services.laboratory.network.name}-limit"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(32 * 2**20))
        (group / "cgroup.procs").write_text(str(_on_the_machine(droplet, before["tenant-api"]["Pid"])))
        # More than that when it is read and parsed; below what nginx lets through.
        body = json.dumps({"name": "x" * 24 * 2**20}).encode()
        assert _ask(services, body).status == 502
        assert droplet.ask(CONTROL, "/healthz").status == 200
        eventually("it runs again", 40, lambda: droplet.ask(API, people(services)).status == 200)
        eventually("the droplet is healthy", 40, lambda: droplet.health.status == 200)
        for name, state in before.items():
            again = services.state(name)["StartedAt"] != state["StartedAt"]
            assert again == (name == "tenant-api"), name
    finally:
        eventually("its processes ended", 10, lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def _ask(services: RealServices, body: bytes) -> Answer:
    return services.droplet.ask(
        API, people(services), body=body, headers={"Content-Type": "application/json"}
    )


def _on_the_machine(droplet: Droplet, init: int) -> int:
    """Return the machine's number of the process below a container's init, which has another one in the droplet."""
    inside = droplet.sh(f"pgrep --parent {init}").strip()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
        except OSError:
            continue
        spaces = re.findall(r"^NSpid:.*$", status, re.MULTILINE)[0].split()[1:]
        # The machine's, the droplet's and the container's; another droplet may have the same number.
        if spaces[1:2] == [inside] and droplet.leader in _above(int(folder.name)):
            return int(folder.name)
    raise AssertionError(f"no process {inside}")


def _above(process: int) -> list[int]:
    found = []
    while process:
        found.append(process)
        status = Path(f"/proc/{process}/status").read_text()
        process = int(re.findall(r"^PPid:\t(\d+)$", status, re.MULTILINE)[0])
    return found
