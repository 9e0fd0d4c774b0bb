"""docs/examples/church_queues.py, as a service has it: a real Celery worker on a real Valkey."""

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.object_storage import Gateway
from tests.clients.conftest import Servers
from tests.clients.pages import CA_FILE, EXAMPLES, snippets

pytestmark = pytest.mark.nightly("droplets")
FLOOD = 100_000
CHURCHES = 250
"""A full cell."""
TASK_SECONDS = 0.02
OVERTAKEN = 20
"""As many tasks of a flood may begin between the sending of another church's task and its beginning: what the two
processes of the worker have, and what is on its way. It was 3 at the most, also on a machine with other work."""
PATIENCE_SECONDS = 20
"""For a loaded machine: who is fair is told by turns, not by time."""
BUCKET = "tenant-credentials"
MAINTENANCE_FILE = "/etc/presence360/maintenance.json"

# The page's worker, and a task that says when it began. Tests do not wait half a minute for a new church.
_WORKER = """
{snippet}

import os
import ssl
import time

import redis
from church_queues import queue_of

app.conf.church_queues = (app.conf.church_queues[0], 0.5)
if "ORDER" in os.environ:
    options = {{**app.conf.broker_transport_options, "queue_order_strategy": os.environ["ORDER"]}}
    app.conf.broker_transport_options = options
valkey = redis.Redis.from_url(os.environ["VALKEY_URL"], ssl_exclude_verify_flags=[ssl.VERIFY_X509_STRICT])


@app.task
def work(name, left):
    if name:
        valkey.hset("platform:began", name, left - valkey.llen(queue_of(os.environ["FLOODED"])))
    time.sleep({seconds})
"""

# Commands, a line each, so that sending starts no process: see `Sender`.
_SENDER = """
import json
import os
import sys

from worker import app, queue_of, valkey, work

for line in sys.stdin:
    command, *arguments = json.loads(line)
    if command == "send":
        prefix, name = arguments
        left = valkey.llen(queue_of(os.environ["FLOODED"]))
        work.apply_async((name, left), queue=queue_of(prefix))
        answer = None
    elif command == "flood":
        # Celery's own message, many times, each with the ids that tell messages apart.
        prefix, number = arguments
        queue = queue_of(prefix)
        work.apply_async((None, 0), queue=queue)
        model = valkey.rpop(queue).decode()
        ids = json.loads(model)
        task, tag = ids["headers"]["id"], ids["properties"]["delivery_tag"]
        for start in range(0, number, 5000):
            numbers = range(start, min(start + 5000, number))
            new = [(f"{task[:-12]}{n:012}", f"{tag[:-12]}{n:012}") for n in numbers]
            valkey.lpush(queue, *(model.replace(task, one).replace(tag, other) for one, other in new))
        answer = valkey.llen(queue)
    elif command == "length":
        answer = valkey.llen(queue_of(arguments[0]))
    elif command == "began":
        answer = {key.decode(): int(value) for key, value in valkey.hgetall("platform:began").items()}
    elif command == "forget":
        answer = valkey.flushdb()
    print(json.dumps(answer), flush=True)
"""


@dataclass
class Scene:
    """A folder with the worker's code, the churches' bucket, and a process that sends tasks."""

    folder: Path
    python: Path
    environ: dict[str, str]
    s3: Any
    sender: "subprocess.Popen[str]"

    def ask(self, *command: Any) -> Any:
        """Have the sender do one thing."""
        assert self.sender.stdin and self.sender.stdout
        self.sender.stdin.write(json.dumps(command) + "\n")
        self.sender.stdin.flush()
        return json.loads(self.sender.stdout.readline())

    def serve(self, church: str) -> None:
        """Write a church's credentials object, of which the worker reads one member."""
        body = json.dumps({"queue_prefix": f"tenant-{church}:"})
        self.s3.put_object(Bucket=BUCKET, Key=f"tenants/{church}.json", Body=body)

    def suspend(self, church: str) -> None:
        """Take it away."""
        self.s3.delete_object(Bucket=BUCKET, Key=f"tenants/{church}.json")

    def began(self, name: str, seconds: float) -> int | None:
        """Return how much of the flood was taken before a task began; None if it has not begun after some seconds."""
        overtaken: int | None = wait(lambda: self.ask("began").get(name), seconds)
        return overtaken

    @contextmanager
    def worker(self, **environ: str) -> Iterator[Path]:
        """Start the page's worker and end it; its log."""
        log = self.folder / "log"
        command = [str(self.python), "-m", "celery", "--app", "worker", "worker", "--without-gossip"]
        command += ["--without-mingle", "--concurrency", "2", "--loglevel", "INFO"]
        with log.open("w") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env={**self.environ, **environ}, stdout=output, stderr=output
            )
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
            process.wait()


def church(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


def prefix(number: int) -> str:
    return f"tenant-{church(number)}:"


def wait(question: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while (found := question()) in (None, False) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def scene(
    servers: Servers,
    variables: Mapping[str, str],
    python: Path,
    gateway: Gateway,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("worker")
    code = _WORKER.format(snippet=snippets()["worker"].code, seconds=TASK_SECONDS)
    (folder / "worker.py").write_text(code, encoding="utf-8")
    example = (EXAMPLES / "church_queues.py").read_text(encoding="utf-8")
    (folder / "church_queues.py").write_text(
        example.replace(CA_FILE, str(servers.authority)).replace(
            MAINTENANCE_FILE, str(folder / "maintenance.json")
        ),
        encoding="utf-8",
    )
    environ = {
        "PATH": os.environ["PATH"],
        "FLOODED": prefix(0),
        "VALKEY_URL": variables["VALKEY_URL"].replace(CA_FILE, str(servers.authority)),
        "TENANT_CREDENTIALS_BUCKET": BUCKET,
        "TENANT_CREDENTIALS_ENDPOINT": gateway.endpoint,
        "TENANT_CREDENTIALS_ACCESS_KEY_ID": gateway.access_key,
        "TENANT_CREDENTIALS_SECRET_ACCESS_KEY": gateway.secret_key,
    }
    s3 = gateway.client()
    s3.create_bucket(Bucket=BUCKET)
    with subprocess.Popen(
        [str(python), "-c", _SENDER],
        cwd=folder, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as sender:  # fmt: skip
        scene = Scene(folder, python, environ, s3, sender)
        for number in range(CHURCHES):
            scene.serve(church(number))
        yield scene
        sender.kill()


def test_a_flood_of_one_church_delays_no_other(scene: Scene) -> None:
    flooded, quiet = prefix(0), [prefix(number) for number in range(1, CHURCHES)]
    assert scene.ask("flood", flooded, FLOOD) == FLOOD
    with scene.worker() as log:
        assert wait(lambda: scene.ask("length", flooded) < FLOOD - 10, 30), log.read_text()
        for number in range(20):
            scene.ask("send", quiet[number * (len(quiet) // 20)], f"task {number}")
            time.sleep(0.1)
        overtaken = [scene.began(f"task {number}", PATIENCE_SECONDS) for number in range(20)]
        assert None not in overtaken, f"{overtaken}\n{log.read_text()}"
        assert max(filter(None, overtaken)) <= OVERTAKEN, overtaken
        # They overtook nearly all of the flood, and it goes on.
        assert scene.ask("length", flooded) > FLOOD * 0.9
        assert wait(lambda: scene.ask("length", flooded) < FLOOD - 100, 30)
    assert log.read_text().count("Traceback") == 0


def test_it_is_the_turns_that_make_it_fair(scene: Scene) -> None:
    """The flooded church's name is the first in order."""
    with scene.worker(ORDER="sorted") as log:
        left = scene.ask("length", prefix(0))
        assert wait(lambda: scene.ask("length", prefix(0)) < left - 10, 30), log.read_text()
        scene.ask("send", prefix(1), "unfair")
        assert scene.began("unfair", 3) is None


def test_new_churches_are_served_and_suspended_ones_left_alone(scene: Scene) -> None:
    scene.ask("forget")
    new, suspended = CHURCHES + 1, 1
    with scene.worker() as log:
        scene.ask("send", prefix(suspended), "before")
        assert scene.began("before", 30) is not None, log.read_text()
        scene.ask("send", prefix(new), "new")
        assert scene.began("new", 1.5) is None
        scene.serve(church(new))
        assert scene.began("new", 10) is not None, log.read_text()

        scene.suspend(church(suspended))
        assert wait(lambda: log.read_text().count(f"Canceling queue {prefix(suspended)}tasks"), 10)
        # What Valkey was asked for before may still answer, and the worker gives it back.
        scene.ask("send", prefix(suspended), "while suspended")
        time.sleep(1.5)
        assert (scene.ask("length", prefix(suspended)), scene.ask("began").get("while suspended")) == (
            1,
            None,
        )
        scene.serve(church(suspended))
        assert scene.began("while suspended", 10) is not None, log.read_text()
    assert log.read_text().count("Traceback") == 0


def test_those_in_maintenance_are_left_alone_until_it_is_over(scene: Scene) -> None:
    """For seconds, in which the worker asks several times: it must not begin again by itself."""
    scene.ask("forget")
    closed, open_ = 2, 3

    def tell(environment: bool, *prefixes: str) -> None:
        said = {"environment": environment, "tenants": [{"queue_prefix": one} for one in prefixes]}
        (scene.folder / "maintenance.new").write_text(json.dumps(said), encoding="utf-8")
        (scene.folder / "maintenance.new").rename(scene.folder / "maintenance.json")

    tell(False, prefix(closed))
    with scene.worker() as log:
        scene.ask("send", prefix(open_), "open")
        assert scene.began("open", 30) is not None, log.read_text()
        scene.ask("send", prefix(closed), "closed")
        assert scene.began("closed", 2.5) is None
        tell(False)
        assert scene.began("closed", 10) is not None, log.read_text()

        tell(True)
        assert wait(lambda: log.read_text().count("Canceling queue platform"), 10), log.read_text()
        time.sleep(1)
        scene.ask("send", prefix(open_), "all closed")
        assert scene.began("all closed", 2.5) is None
        tell(False)
        assert scene.began("all closed", 10) is not None, log.read_text()
    (scene.folder / "maintenance.json").unlink()
    assert log.read_text().count("Traceback") == 0
