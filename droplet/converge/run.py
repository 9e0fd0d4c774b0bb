#!/usr/bin/python3
"""presence360-converge: bring this droplet to what its group's bucket says, or leave it as it was.

Runs as root each minute and at boot. It fetches the bucket's objects, checks all of them before it touches
anything, and keeps each state of the bucket as a release, a folder named after its content. Where containers
change, the droplet waits for its turn, drains, starts them, and goes back to the last healthy release if that
fails.

Needs Debian 13's python3, rclone, docker-cli, docker-compose and nginx, and nothing else.
"""

import argparse
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

REQUIRED = ("compose.yaml", "nginx.conf", "release.json", "secrets.env", "settings.env")
OPTIONAL = ("ca.pem", "registry.json")
MAX_OBJECT_BYTES = 1024 * 1024
"""A limit against mistakes: real objects have a few KiB."""

KEPT_RELEASES = 3
"""The current release and those before it, with their images."""

# Docker's reference grammar (distribution/reference/regexp.go), without its rarer forms.
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})")
# staging-app-1, or staging-app-1-3fa9c2 with the droplet's generation (model/naming.py).
_NUMBER = re.compile(r"-(\d{1,3})(-[0-9a-f]{6})?$")
_NAME = re.compile(r"[a-z][a-z0-9-]*")

# What compose-go's dotenv parser reads without expanding anything: plain words; single quotes without quotes
# and backslashes; double quotes in which a backslash escapes the next character and `$` is escaped
# (model/env_file.py).
_ENV_LINE = re.compile(
    r"""[A-Za-z_][A-Za-z0-9_]*=([A-Za-z0-9_./:@%+,=-]*|'[^'\\]*'|"(?:[^"\\$]|\\.)*")\n""", re.DOTALL
)

_ERROR, _WARNING, _INFO = 3, 4, 6
"""Syslog priorities; systemd reads them from `<3>` at the start of a line (sd-daemon(3))."""

Json = Any


class ConvergeError(Exception):
    """What is wanted cannot be; the droplet stays as it is."""


class CommandError(ConvergeError):
    """A program failed."""


@dataclass(frozen=True)
class Paths:
    """Where things are on a droplet; tests have their own."""

    etc: Path = Path("/etc/presence360")
    state: Path = Path("/var/lib/presence360")
    run: Path = Path("/run/presence360")

    @property
    def incoming(self) -> Path:
        """The bucket, as last fetched."""
        return self.state / "incoming"

    @property
    def isolation(self) -> Path:
        """What the job that keeps tenants apart is told, where it runs."""
        return self.incoming / "isolation"

    @property
    def isolation_changed(self) -> Path:
        """Written when that has changed; systemd starts the job (presence360-isolation.path)."""
        return self.state / "isolation.changed"

    @property
    def releases(self) -> Path:
        """One folder a release, named after its digest."""
        return self.state / "releases"

    @property
    def current(self) -> Path:
        """A link to the release that runs."""
        return self.state / "current"

    @property
    def shared(self) -> Path:
        """What containers see as /etc/presence360; one for all releases, or each would restart them."""
        return self.state / "shared"

    @property
    def failed(self) -> Path:
        """What did not work the last time."""
        return self.state / "failed.json"

    @property
    def draining(self) -> Path:
        """While it exists, the health daemon turns the load balancer away."""
        return self.run / "draining"

    @property
    def leaving(self) -> Path:
        """As `draining`, but for a droplet that goes down: no run takes it away again."""
        return self.run / "leaving"

    @property
    def metrics(self) -> Path:
        """In Prometheus's text format; the health daemon serves it."""
        return self.run / "converge.prom"


Run = Callable[[Sequence[str], Mapping[str, str], float], str]
"""Run a program with more environment and a timeout in seconds: what it printed, or CommandError."""


def run_program(args: Sequence[str], env: Mapping[str, str], timeout: float) -> str:
    """Run a program; what it said on failure becomes the error. Secrets reach programs as files only."""
    try:
        done = subprocess.run(
            args,
            env={**os.environ, **env},
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{args[0]}: no end after {timeout:.0f} s") from None
    except OSError as error:
        raise CommandError(f"{args[0]}: {error}") from None
    if done.returncode != 0:
        raise CommandError(f"{' '.join(args)}: exit {done.returncode}: {_tail(done.stderr or done.stdout)}")
    return done.stdout


def _tail(text: str, length: int = 1500) -> str:
    text = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return text if len(text) <= length else f"...{text[-length:]}"


def log(priority: int, message: str) -> None:
    """Write one line to the journal."""
    sys.stdout.write(f"<{priority}>{message}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Release:
    """A checked state of the bucket, on disk.

    Attributes:
        folder: where it is.
        digest: of its content.
        images: by service.
        hashes: by service: Compose's own digest of all that makes a container; equal means it stays.
        targets: what answers for it: service, loopback port, path, and whether it is public.
        turns: in how many turns the group's droplets restart.
        slot_seconds: how long a turn is.
        worst_seconds: how long a change and its way back may take.
        drain_seconds: from the first refused health check until no request comes any more.
        wait_seconds: how long containers may take to become healthy.
    """

    folder: Path
    digest: str
    images: Mapping[str, str]
    hashes: Mapping[str, str]
    targets: Sequence[Mapping[str, Json]]
    turns: int = 1
    slot_seconds: int = 360
    worst_seconds: int = 300
    drain_seconds: int = 20
    wait_seconds: int = 80

    @property
    def public(self) -> bool:
        """Whether a load balancer sends requests here."""
        return any(target["public"] for target in self.targets)

    def compose(self, *args: str) -> list[str]:
        """Return the command line of Compose for this release."""
        files = ("--env-file", f"{self.folder}/images.env", "--file", f"{self.folder}/compose.yaml")
        return ["docker", "compose", "--project-directory", str(self.folder), *files, *args]


DERIVED = "derived.json"
"""What follows from a release's objects; no secret in it, so the health daemon may read it."""


def load_release(folder: Path) -> Release | None:
    """Read a release back; None for the one that a droplet is born with."""
    try:
        derived = json.loads((folder / DERIVED).read_text())
    except FileNotFoundError:
        return None
    return Release(folder=folder.resolve(), **derived)


def read_incoming(folder: Path) -> dict[str, bytes]:
    """Read the bucket's objects, those that matter here.

    Raises:
        ConvergeError: one is missing or too large.
    """
    objects = {}
    for name in (*REQUIRED, *OPTIONAL):
        path = folder / name
        if not path.is_file():
            if name in REQUIRED:
                raise ConvergeError(f"the bucket has no {name}")
            continue
        if path.stat().st_size > MAX_OBJECT_BYTES:
            raise ConvergeError(f"{name} has more than {MAX_OBJECT_BYTES} bytes")
        objects[name] = path.read_bytes()
    return objects


def digest_of(objects: Mapping[str, bytes]) -> str:
    """Name a state of the bucket after its content."""
    digest = hashlib.sha256()
    for name, content in sorted(objects.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def check_release(content: bytes) -> dict[str, str]:
    """Return the images by service.

    Raises:
        ConvergeError: release.json is not ``{"images": {"tenant-api": "registry/repository:tag"}}``.
    """
    release = _json("release.json", content)
    services = release.get("images")
    if not isinstance(services, dict) or not services:
        raise ConvergeError("release.json names no images")
    for name, image in services.items():
        if not _NAME.fullmatch(name):
            raise ConvergeError(f"release.json: {name!r} is no name of a service")
        if not isinstance(image, str) or not _IMAGE.fullmatch(image):
            raise ConvergeError(f"release.json: {image!r} of {name} is no image with a tag or digest")
    return services


def check_env(name: str, content: bytes) -> None:
    """Check an environment file; the message has the line's number and never its text, which may be a secret.

    Raises:
        ConvergeError: Compose would not read it as it is meant.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ConvergeError(f"{name} is not UTF-8") from None
    position = 0
    while position < len(text):
        match = _ENV_LINE.match(text, position)
        if match:
            position = match.end()
        elif text[position] in "#\n":
            position = (text.find("\n", position) + 1) or len(text)
        else:
            line = text.count("\n", 0, position) + 1
            raise ConvergeError(f"{name}, line {line}: not NAME=value, NAME='value' or NAME=\"value\"")


def check_registry(content: bytes) -> None:
    """Check Docker's config.json: nothing but logins, since it may also name programs to run.

    Raises:
        ConvergeError: it is something else.
    """
    registry = _json("registry.json", content)
    if set(registry) - {"auths"} or not isinstance(registry.get("auths", {}), dict):
        raise ConvergeError('registry.json is not {"auths": {...}}')


def _json(name: str, content: bytes) -> dict[str, Json]:
    try:
        value = json.loads(content)
    except ValueError:
        raise ConvergeError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise ConvergeError(f"{name} is not a JSON object")
    return value


def image_variable(service: str) -> str:
    """Name the variable that stands for a service's image in the Compose file."""
    return f"{service.upper().replace('-', '_')}_IMAGE"


def derive(
    config: Mapping[str, Json], hashes: str, images: Mapping[str, str], digest: str
) -> dict[str, Json]:
    """Work out what converging needs from Compose's own reading of its file.

    Raises:
        ConvergeError: a service has no image, or a health path and no port.
    """
    targets = []
    for name, service in sorted(config["services"].items()):
        if name not in images:
            raise ConvergeError(f"release.json names no image for {name}")
        labels = service.get("labels", {})
        path = labels.get("app.presence360.health-path")
        if path is None:
            continue
        ports = [int(port["published"]) for port in service.get("ports", ()) if port.get("published")]
        if len(ports) != 1:
            raise ConvergeError(f"compose.yaml: {name} has a health path and {len(ports)} published ports")
        public = labels.get("app.presence360.public") == "true"
        targets.append({"service": name, "port": ports[0], "path": path, "public": public})
    return {
        "digest": digest,
        "images": {name: images[name] for name in sorted(config["services"])},
        "hashes": dict(line.split() for line in sorted(hashes.splitlines()) if line.strip()),
        "targets": targets,
        **_timing(config.get("x-presence360", {})),
    }


def _timing(values: Mapping[str, Json]) -> dict[str, int]:
    known = ("turns", "slot_seconds", "worst_seconds", "drain_seconds", "wait_seconds")
    if any(name not in known or not isinstance(value, int) or value < 0 for name, value in values.items()):
        raise ConvergeError(f"compose.yaml: x-presence360 takes whole numbers for {', '.join(known)}")
    return dict(values)


def own_turn(hostname: str, turns: int) -> int:
    """Return a droplet's turn: by its number, which counts from 1; by chance in a pool, where it has none."""
    number = _NUMBER.search(hostname)
    value = int(number[1]) - 1 if number else int(hashlib.sha256(hostname.encode()).hexdigest(), 16)
    return value % turns


def may_start(release: Release, hostname: str, now: float) -> bool:
    """Tell whether a change may start now: in the own turn, and early enough to be over, or undone."""
    if release.turns <= 1:
        return True
    slot, into = divmod(now, release.slot_seconds)
    return int(slot) % release.turns == own_turn(hostname, release.turns) and (
        into + release.worst_seconds <= release.slot_seconds
    )


def http_ok(port: int, path: str, *, tries: int = 5, timeout: float = 2) -> bool:
    """Ask a loopback port until it answers 200, with a second between tries."""
    for attempt in range(tries):
        if attempt:
            time.sleep(1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


@dataclass
class Converger:
    """One run."""

    paths: Paths
    run: Run = run_program
    hostname: str = field(default_factory=socket.gethostname)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    answers: Callable[[int, str], bool] = http_ok

    def converge(self) -> None:
        """Do what there is to do.

        Raises:
            ConvergeError: what the bucket says does not run here; what ran before runs on.
        """
        # Of a run that was killed; whatever it left half done shows in the health of the services.
        self.paths.draining.unlink(missing_ok=True)
        current = load_release(self.paths.current)
        self._fetch()
        objects = read_incoming(self.paths.incoming)
        digest = digest_of(objects)
        if current and current.digest == digest:
            self.paths.failed.unlink(missing_ok=True)
            self._heal(current)
            return
        if current and (reason := self._failed_before(digest)):
            self._heal(current)
            raise HeldError(reason)
        try:
            release = self._stage(objects, digest)
        except ConvergeError as error:
            self._remember(digest, current, str(error))
            raise
        # A registry that is away is no fault of the release: it is not remembered, and the next minute tries
        # again.
        self.run(release.compose("pull", "--quiet"), self._docker_env(release), 600)
        if current and current.hashes == release.hashes:
            self._share(release)
            self._activate(release)
            log(_INFO, f"release {digest}: no container changes, nginx reloaded")
        elif current and not may_start(release, self.hostname, self.clock()):
            raise WaitingError(f"release {digest} waits for this droplet's turn")
        else:
            self._deploy(release, current)
        self._prune(release)

    def _fetch(self) -> None:
        self.paths.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        # --checksum: Terraform's objects carry no modification time for rclone to compare. Two levels: the objects, and
        # those in `isolation`.
        options = [
            "--checksum",
            "--max-depth",
            "2",
            "--retries",
            "2",
            "--contimeout",
            "10s",
            "--timeout",
            "20s",
            "--quiet",
        ]
        config = str(self.paths.etc / "rclone.conf")
        before = self._isolation()
        self.run(["rclone", "--config", config, *options, "sync", "group:", str(self.paths.incoming)], {}, 50)
        if self._isolation() != before:
            self.paths.isolation_changed.write_text("")

    def _isolation(self) -> list[tuple[str, int, int]]:
        """Tell the isolation job's files apart: rclone renames a new one into its place."""
        files = ((path.name, path.stat()) for path in self.paths.isolation.glob("*.json"))
        return sorted((name, found.st_ino, found.st_mtime_ns) for name, found in files)

    def _stage(self, objects: Mapping[str, bytes], digest: str) -> Release:
        """Check a state of the bucket and keep it as a release; nothing that runs is touched."""
        images = check_release(objects["release.json"])
        for name in ("settings.env", "secrets.env"):
            check_env(name, objects[name])
        if registry := objects.get("registry.json"):
            check_registry(registry)
        if (authorities := objects.get("ca.pem")) and b"-----BEGIN CERTIFICATE-----" not in authorities:
            raise ConvergeError("ca.pem holds no certificate")
        folder = self.paths.releases / digest
        if release := load_release(folder):
            return release
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "docker").mkdir(mode=0o755, parents=True)
        for name, content in objects.items():
            _write(folder / name, content, mode=0o600)
        _write(folder / "docker/config.json", registry or b"{}", mode=0o600)
        lines = [f"{image_variable(name)}={image}\n" for name, image in sorted(images.items())]
        _write(folder / "images.env", "".join(lines).encode(), mode=0o600)
        draft = Release(folder=folder, digest=digest, images=images, hashes={}, targets=())
        config = json.loads(self.run(draft.compose("config", "--format", "json"), {}, 60))
        hashes = self.run(draft.compose("config", "--hash", "*"), {}, 60)
        self.run(["nginx", "-t", "-q", "-c", str(folder / "nginx.conf")], {}, 60)
        derived = derive(config, hashes, images, digest)
        # Last, so that a folder with it is complete.
        _write(folder / DERIVED, json.dumps(derived, indent=1).encode(), mode=0o644)
        release = load_release(folder)
        assert release  # noqa: S101  written the line before
        return release

    def _deploy(self, release: Release, previous: Release | None) -> None:
        log(
            _INFO, f"release {release.digest}: starting, instead of {previous.digest if previous else 'none'}"
        )
        try:
            if previous and previous.public:
                self.drain(previous, self.paths.draining)
            self._up(release)
            self._activate(release)
        except ConvergeError as error:
            reason = f"release {release.digest} failed: {error}"
            self._remember(release.digest, previous, reason)
            if previous:
                log(_ERROR, f"{reason}; going back to {previous.digest}")
                self._up(previous)
                self._activate(previous)
            raise ConvergeError(reason) from error
        finally:
            self.paths.draining.unlink(missing_ok=True)
        self.paths.failed.unlink(missing_ok=True)
        log(_INFO, f"release {release.digest}: healthy")

    def drain(self, release: Release, flag: Path) -> None:
        """Turn the load balancer away, and wait until it sends nothing more."""
        flag.touch()
        self.sleep(release.drain_seconds)

    def _up(self, release: Release) -> None:
        """Start what changed; return when all of it is healthy and answers where nginx will ask."""
        self._share(release)
        options = [
            "--detach",
            "--wait",
            "--remove-orphans",
            "--no-build",
            "--pull",
            "never",
            "--wait-timeout",
        ]
        command = release.compose("up", *options, str(release.wait_seconds))
        self.run(command, self._docker_env(release), release.worst_seconds)
        for target in release.targets:
            if not self.answers(target["port"], target["path"]):
                raise ConvergeError(f"{target['service']} does not answer 200 on {target['path']}")

    def _share(self, release: Release) -> None:
        """Let containers see the data services' certificate authorities, as they are in this release."""
        self.paths.shared.mkdir(mode=0o755, parents=True, exist_ok=True)
        if (source := release.folder / "ca.pem").exists():
            _write(self.paths.shared / "ca.pem", source.read_bytes(), mode=0o644)

    def _activate(self, release: Release) -> None:
        """Make a release the current one, for nginx and the health daemon, in one step."""
        # The newest are kept (`_prune`), by their last use.
        os.utime(release.folder)
        link = self.paths.state / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(release.folder)
        link.replace(self.paths.current)
        self.run(["systemctl", "reload-or-restart", "nginx.service"], {}, 60)

    def _heal(self, release: Release) -> None:
        """Start what somebody or something stopped; Docker itself restarts only what died."""
        running = self.run(release.compose("ps", "--services", "--status", "running"), {}, 60).split()
        if missing := sorted(set(release.images) - set(running)):
            log(_WARNING, f"not running, so started again: {', '.join(missing)}")
            self._up(release)

    def _docker_env(self, release: Release) -> dict[str, str]:
        return {"DOCKER_CONFIG": str(release.folder / "docker")}

    def _failed_before(self, digest: str) -> str | None:
        try:
            failed = json.loads(self.paths.failed.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return str(failed["reason"]) if failed.get("digest") == digest else None

    def _remember(self, digest: str, current: Release | None, reason: str) -> None:
        # A droplet without a healthy release has nothing to protect: it tries again each minute.
        if current:
            _write(self.paths.failed, json.dumps({"digest": digest, "reason": reason}).encode(), mode=0o600)

    def _prune(self, current: Release) -> None:
        """Remove old releases and the images that only they used."""
        folders = [path for path in self.paths.releases.iterdir() if (path / DERIVED).exists()]
        folders.sort(key=lambda path: (path.name == current.digest, path.stat().st_mtime), reverse=True)
        releases = [release for path in folders if (release := load_release(path))]
        kept = {image for release in releases[:KEPT_RELEASES] for image in release.images.values()}
        for release in releases[KEPT_RELEASES:]:
            for image in sorted(set(release.images.values()) - kept):
                try:
                    self.run(["docker", "image", "rm", image], {}, 120)
                except CommandError as error:
                    log(_INFO, f"image {image} stays: {error}")
            shutil.rmtree(release.folder)

    def report(self, *, failed: str | None) -> None:
        """Write the metrics of this run."""
        current = load_release(self.paths.current)
        lines = [
            "# HELP presence360_converge_success Whether this droplet runs what its bucket says.",
            "# TYPE presence360_converge_success gauge",
            f"presence360_converge_success {int(failed is None)}",
            "# HELP presence360_converge_timestamp_seconds When that was last looked at.",
            "# TYPE presence360_converge_timestamp_seconds gauge",
            f"presence360_converge_timestamp_seconds {self.clock():.0f}",
        ]
        if current:
            lines += [
                "# HELP presence360_release_info The release that runs; the value is always 1.",
                "# TYPE presence360_release_info gauge",
                f'presence360_release_info{{digest="{current.digest}"}} 1',
                "# HELP presence360_service_image_info The image of each service; the value is always 1.",
                "# TYPE presence360_service_image_info gauge",
            ]
            for service, image in sorted(current.images.items()):
                lines.append(f'presence360_service_image_info{{service="{service}",image="{image}"}} 1')
        _write(self.paths.metrics, ("\n".join(lines) + "\n").encode(), mode=0o644)


class HeldError(ConvergeError):
    """The bucket still says what failed before."""


class WaitingError(ConvergeError):
    """A checked release waits for this droplet's turn."""


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that no reader sees a half of it, and none without the right ever sees it."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        # The unit's umask takes the group's and others' rights away.
        os.fchmod(file.fileno(), mode)
    draft.replace(path)


@contextmanager
def _alone(paths: Paths) -> Iterator[bool]:
    """Hold the lock; False if another run has it."""
    with (paths.run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def main(arguments: Sequence[str], converger: Converger) -> int:
    """Run once; 1 if the bucket's wishes are not met, which the unit shows as failed."""
    parser = argparse.ArgumentParser(prog="presence360-converge", description=__doc__)
    parser.add_argument("--retry", action="store_true", help="forget what failed before, and try it again")
    parser.add_argument(
        "--drain", action="store_true", help="turn the load balancer away until the next boot, and wait"
    )
    options = parser.parse_args(arguments)
    paths = converger.paths
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    if options.drain:
        release = load_release(paths.current)
        if release and release.public:
            converger.drain(release, paths.leaving)
        return 0
    with _alone(paths) as alone:
        if not alone:
            log(_INFO, "another run is at work")
            return 0
        if options.retry:
            paths.failed.unlink(missing_ok=True)
        return _once(converger)


def _once(converger: Converger) -> int:
    try:
        converger.converge()
    except WaitingError as waiting:
        log(_INFO, str(waiting))
    except HeldError as held:
        # Said once as an error when it happened; the metric stays until the bucket changes.
        log(_INFO, f"not tried again: {held}")
        converger.report(failed=str(held))
        return 0
    except ConvergeError as error:
        log(_ERROR, str(error))
        converger.report(failed=str(error))
        return 1
    converger.report(failed=None)
    return 0


def _start() -> NoReturn:
    sys.exit(main(sys.argv[1:], Converger(Paths())))


if __name__ == "__main__":
    _start()
