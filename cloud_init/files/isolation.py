#!/usr/bin/python3
"""presence360-isolation: see to it that one tenant's credentials reach that tenant's database and nothing else.

Runs isolation.sql on every Postgres cluster, each minute and when the configuration changes: once for the cluster,
which is one connection, and once in each database whose schema is new or not known to be right. Once a day it
visits all of them, since the shared catalogs do not show everything.

Each Terraform stack has a configuration of its own: the environment, and each further cell. One that cannot be read is
an error and keeps nobody else's clusters waiting.

Needs Debian 13's python3 and postgresql-client, and nothing else. It comes through the group's bucket, so that
mending it replaces no droplet. Passwords reach psql by a file that only this program's user may read.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FULL_SECONDS = 24 * 3600
"""How often every database's schema is looked at, whatever the shared catalogs say."""

PARALLEL_CLUSTERS = 4
"""At a time, so that one that does not answer does not hold up the others."""

PARALLEL_VISITS = 2
"""Connections at a time, beside the cluster's own: the smallest cluster has 22 for everybody."""

CLUSTER_TIMEOUT_SECONDS = 600.0
VISIT_TIMEOUT_SECONDS = 60.0

_ERROR, _WARNING, _INFO = 3, 4, 6
"""Syslog priorities; systemd reads them from `<3>` at the start of a line (sd-daemon(3))."""

Json = Any


def log(priority: int, message: str) -> None:
    """Write one line to the journal."""
    sys.stdout.write(f"<{priority}>{message}\n")
    sys.stdout.flush()


PREFIX = "isolation_"
"""Of the configurations' files: systemd joins folder and name with `_` (systemd.exec(5), LoadCredential=)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class ConfigurationError(Exception):
    """A configuration cannot be used. The message never quotes it: it holds passwords."""


@dataclass(frozen=True)
class Places:
    """Where things are; systemd says it on a droplet (cloud_init/templates/isolation_units.j2).

    Attributes:
        configurations: the folder with isolation_environment.json and those of the cells.
        script: isolation.sql.
        scratch: a folder of this run's own, for passwords, certificate authorities and metrics.
        state: what outlives a run: when every database was last visited, and what was last measured.
    """

    configurations: Path
    script: Path
    scratch: Path
    state: Path

    @property
    def metrics(self) -> Path:
        """In Prometheus's text format."""
        return self.scratch / "isolation.prom"

    @property
    def samples(self) -> Path:
        """What each cluster's last run found, for runs that do nothing because another one is at work."""
        return self.state / "samples.json"

    def visited(self, cluster: str) -> Path:
        """Return the stamp of a cluster: when all its databases were last visited."""
        return self.state / f"visited-{cluster}"


@dataclass(frozen=True)
class Configuration:
    """What one Terraform stack says.

    Attributes:
        name: environment, or the cell's.
        clusters: how to reach each, as its administrator.
        variables: what the script is told.
    """

    name: str
    clusters: Sequence[Mapping[str, Json]]
    variables: Mapping[str, str]


def read_configuration(path: Path) -> Configuration:
    """Read one configuration.

    Raises:
        ConfigurationError: it is not what Terraform writes.
    """
    name = path.name.removeprefix(PREFIX).removesuffix(".json")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        variables = {
            "connections": str(int(value["connections"])),
            "overrides": json.dumps({str(key): int(limit) for key, limit in value["overrides"].items()}),
            "statement_timeout": str(int(value["statement_timeout_ms"])),
            "idle_timeout": str(int(value["idle_in_transaction_timeout_ms"])),
        }
        clusters = [{**cluster, "port": int(cluster["port"])} for cluster in value["clusters"]]
        for cluster in clusters:
            for key in ("name", "host", "user", "password", "database", "sslmode", "ca"):
                if not isinstance(cluster[key], str) or not cluster[key]:
                    raise TypeError(key)
            if not _NAME.fullmatch(cluster["name"]):
                raise ValueError("name")
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"is not JSON from line {error.lineno} on") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"is not what Terraform writes ({type(error).__name__})") from None
    return Configuration(name, clusters, variables)


def read_configurations(folder: Path) -> tuple[list[Configuration], dict[str, str]]:
    """Read all configurations, and say by name what is wrong with those that cannot be used."""
    found, broken = [], {}
    taken: dict[str, str] = {}
    for path in sorted(folder.glob(f"{PREFIX}*.json")):
        name = path.name.removeprefix(PREFIX).removesuffix(".json")
        try:
            configuration = read_configuration(path)
        except ConfigurationError as error:
            broken[name] = str(error)
            continue
        # Stamps and metrics go by the cluster's name.
        for cluster in configuration.clusters:
            if other := taken.get(cluster["name"]):
                broken[name] = f"has a cluster {cluster['name']} as {other} has"
        if name not in broken:
            taken |= {cluster["name"]: name for cluster in configuration.clusters}
            found.append(configuration)
    return found, broken


@dataclass
class Result:
    """What a run found out about one cluster.

    Attributes:
        cluster: its name in the operators' file.
        findings: what is not as it should be: role, database, what.
        errors: statements or connections that failed.
        notes: how many of each kind: what cannot be had, and what was counted.
        visited: databases whose schema was looked at.
        busy: another run is at work there, and this one did nothing.
        seconds: how long it took.
    """

    cluster: str
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    visited: int = 0
    busy: bool = False
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether every tenant of the cluster is known to be isolated."""
        return not self.findings and not self.errors


@cache
def psql_program() -> str:
    """Find psql itself: Debian's /usr/bin/psql is a Perl program that chooses a version, and slow to start."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else "psql"


@dataclass(frozen=True)
class Psql:
    """Runs the script on one cluster.

    Attributes:
        script: isolation.sql.
        folder: with this cluster's password and certificate authority.
        cluster: its entry in the configuration.
        variables: what the script is told.
    """

    script: Path
    folder: Path
    cluster: Mapping[str, Json]
    variables: Mapping[str, str]

    def run(self, database: str, variables: Mapping[str, str], timeout: float) -> tuple[int, str, str]:
        """Return psql's exit code and what it said."""
        command = [psql_program(), "--no-psqlrc", "--no-password", "--dbname", database]
        command += ["--file", str(self.script)]
        for name, value in {**self.variables, **variables}.items():
            command += ["--set", f"{name}={value}"]
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LC_ALL": "C.UTF-8",
            "PGHOST": str(self.cluster["host"]),
            "PGPORT": str(self.cluster["port"]),
            "PGUSER": str(self.cluster["user"]),
            "PGSSLMODE": str(self.cluster["sslmode"]),
            "PGSSLROOTCERT": str(self.folder / "ca.pem"),
            "PGPASSFILE": str(self.folder / "pgpass"),
            "PGCONNECT_TIMEOUT": "10",
            "PGAPPNAME": "presence360-isolation",
        }
        try:
            done = subprocess.run(
                command,
                env=environment,
                timeout=timeout,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return -1, "", f"psql: no end after {timeout:.0f} s"
        except OSError as error:
            return -1, "", f"psql: {error}"
        return done.returncode, done.stdout, done.stderr


def isolate(psql: Psql, *, full: bool) -> Result:
    """Run the script on one cluster, and in the databases that it asks to visit."""
    result = Result(cluster=str(psql.cluster["name"]))
    start = time.monotonic()
    code, output, errors = psql.run(
        str(psql.cluster["database"]), {"full": str(int(full))}, CLUSTER_TIMEOUT_SECONDS
    )
    visits: list[tuple[str, str, str]] = []
    _read(output, result, visits)
    _note_errors(code, errors, result)
    with ThreadPoolExecutor(max_workers=PARALLEL_VISITS) as pool:
        # In the order of the names, so that a run that is killed has done a beginning.
        for visited, lines, words in pool.map(lambda visit: _visit(psql, visit), visits):
            _read(lines, result, [])
            _note_errors(visited, words, result)
    result.visited = len(visits)
    result.seconds = time.monotonic() - start
    return result


def _visit(psql: Psql, visit: tuple[str, str, str]) -> tuple[int, str, str]:
    database, owner, mark = visit
    variables = {"database": database, "owner": owner, "mark": mark}
    return psql.run(database, variables, VISIT_TIMEOUT_SECONDS)


def _read(output: str, result: Result, visits: list[tuple[str, str, str]]) -> None:
    for line in output.splitlines():
        match line.split("|"):
            case ["busy"]:
                result.busy = True
            case ["visit", database, owner, mark]:
                visits.append((database, owner, mark))
            case ["finding", role, database, what]:
                result.findings.append((role, database, what))
            case ["note", ("places" | "logins" | "ended" | "orphans") as kind, count]:
                result.notes[kind] = int(count)
            case ["note", kind, _]:
                result.notes[kind] = result.notes.get(kind, 0) + 1
            case _:
                # A script that says something else is not the one that this program knows.
                result.errors.append(f"unexpected line: {line[:200]}")


def _note_errors(code: int, errors: str, result: Result) -> None:
    lines = [line for line in errors.splitlines() if "ERROR:" in line or "error:" in line or "FATAL:" in line]
    # With findings the script ends in an error of its own, which says the same.
    if code == 0:
        # Of one statement, as of a role that was dropped meanwhile; what is true was looked up afterwards.
        for line in lines:
            log(_WARNING, f"{result.cluster}: {line}")
    elif not result.findings:
        result.errors += lines or [errors.strip()[-500:] or f"psql: exit {code}"]


_FAMILIES: Sequence[tuple[str, str, Callable[[Result], float]]] = (
    ("success", "Whether each tenant reaches its own database and nothing else.", lambda r: int(r.success)),
    ("findings", "What is not as it should be; the journal names each.", lambda r: len(r.findings)),
    ("errors", "What could not be looked at.", lambda r: len(r.errors)),
    ("databases", "Databases that are kept apart.", lambda r: r.notes.get("places", 0)),
    ("login_roles", "Roles that log in to them.", lambda r: r.notes.get("logins", 0)),
    ("visited", "Databases whose schema was looked at in this run.", lambda r: r.visited),
    (
        "roles_without_own_limit",
        "Login roles that this cluster's administrator may not alter: their database's limit stands in.",
        lambda r: r.notes.get("not-alterable", 0),
    ),
    (
        "open_databases",
        "Databases without tenants' data that others own, so that any role may connect.",
        lambda r: r.notes.get("open", 0),
    ),
    (
        "sessions_of_dropped_roles",
        "Sessions that outlive their role, because this cluster's administrator may not end them.",
        lambda r: r.notes.get("orphans", 0),
    ),
    ("duration_seconds", "How long the run took.", lambda r: round(r.seconds, 3)),
)


def samples_of(result: Result, now: float) -> dict[str, float]:
    """Return what a run found, by metric."""
    return {**{name: value(result) for name, _, value in _FAMILIES}, "timestamp_seconds": round(now)}


def metrics(samples: Mapping[str, Mapping[str, float]], valid: Mapping[str, bool]) -> str:
    """Write what was found, by cluster, and which configurations could be read, in Prometheus's text format."""
    lines = []
    words = [(name, text) for name, text, _ in _FAMILIES]
    for name, text in [*words, ("timestamp_seconds", "When that was looked at.")]:
        full = f"presence360_isolation_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge"]
        lines += [
            f'{full}{{cluster="{cluster}"}} {found[name]}' for cluster, found in sorted(samples.items())
        ]
    full = "presence360_isolation_configuration_valid"
    lines += [f"# HELP {full} Whether what a stack says of its clusters can be read.", f"# TYPE {full} gauge"]
    lines += [f'{full}{{configuration="{name}"}} {int(good)}' for name, good in sorted(valid.items())]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, not even for a moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _pgpass(cluster: Mapping[str, Json]) -> str:
    """Return libpq's password file, in which a colon and a backslash are escaped (its documentation)."""
    host, user, password = (
        str(cluster[key]).replace("\\", "\\\\").replace(":", "\\:") for key in ("host", "user", "password")
    )
    return f"{host}:{cluster['port']}:*:{user}:{password}\n"


def run(places: Places, now: Callable[[], float] = time.time) -> int:
    """Run once on every cluster; 1 if a tenant is not known to be isolated, which the unit shows as failed."""
    configurations, broken = read_configurations(places.configurations)
    for name, problem in sorted(broken.items()):
        log(_ERROR, f"configuration {name}: {problem}")
    if not configurations and not broken:
        log(_ERROR, f"there is no {PREFIX}*.json in {places.configurations}")
        return 1
    revision = hashlib.sha256(places.script.read_bytes()).hexdigest()[:12]
    work = [
        (cluster, {**configuration.variables, "revision": revision, "full": "0"})
        for configuration in configurations
        for cluster in configuration.clusters
    ]
    with ThreadPoolExecutor(max_workers=PARALLEL_CLUSTERS) as pool:
        results = list(pool.map(lambda one: _one(places, *one, now=now()), work))
    known = {str(cluster["name"]) for cluster, _ in work}
    samples = {name: found for name, found in _last_samples(places).items() if name in known}
    for result in results:
        _say(result)
        if not result.busy:
            samples[result.cluster] = samples_of(result, now())
    _forget(places, known, keep_stamps=bool(broken))
    write_private(places.samples, json.dumps(samples))
    valid = {**{one.name: True for one in configurations}, **dict.fromkeys(broken, False)}
    places.metrics.write_text(metrics(samples, valid))
    return 0 if not broken and all(result.success for result in results) else 1


def _one(places: Places, cluster: Mapping[str, Json], variables: Mapping[str, str], *, now: float) -> Result:
    """Isolate one cluster; whatever goes wrong is its own and no other's."""
    name = str(cluster["name"])
    folder, stamp = places.scratch / name, places.visited(name)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / "pgpass", _pgpass(cluster))
        write_private(folder / "ca.pem", str(cluster["ca"]))
        full = not stamp.exists() or now - stamp.stat().st_mtime >= FULL_SECONDS
        result = isolate(Psql(places.script, folder, cluster, variables), full=full)
        if full and result.success and not result.busy:
            stamp.touch()
    except OSError as error:
        return Result(cluster=name, errors=[str(error)])
    return result


def _last_samples(places: Places) -> dict[str, dict[str, float]]:
    """Return what was last found; nothing if another version of this program wrote it."""
    wanted = {*(name for name, _, _ in _FAMILIES), "timestamp_seconds"}
    try:
        found = json.loads(places.samples.read_text())
    except (OSError, ValueError):
        return {}
    return {name: samples for name, samples in found.items() if set(samples) == wanted}


def _forget(places: Places, known: Set[str], *, keep_stamps: bool) -> None:
    """Forget clusters that are gone; where a configuration cannot be read, they may be its."""
    for stamp in [] if keep_stamps else places.state.glob("visited-*"):
        if stamp.name.removeprefix("visited-") not in known:
            stamp.unlink()


def _say(result: Result) -> None:
    if result.busy:
        log(_INFO, f"{result.cluster}: another run is at work")
    for role, database, what in result.findings:
        log(_ERROR, f"{result.cluster}: {role} {what} ({database or 'every database'})")
    for error in result.errors:
        log(_ERROR, f"{result.cluster}: {error}")
    if ended := result.notes.get("ended"):
        log(_INFO, f"{result.cluster}: {ended} sessions ended, whose roles are gone")
    if result.success and result.visited:
        log(_INFO, f"{result.cluster}: {result.visited} databases visited in {result.seconds:.1f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read where things are, from the command line or else from systemd, and run."""
    parser = argparse.ArgumentParser(prog="presence360-isolation", description=__doc__)
    given, scratch, state = (
        Path(os.environ.get(name, "."))
        for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY")
    )
    parser.add_argument("--configurations", type=Path, default=given)
    parser.add_argument("--script", type=Path, default=given / "isolation.sql")
    parser.add_argument("--scratch", type=Path, default=scratch)
    parser.add_argument("--state", type=Path, default=state)
    options = parser.parse_args(arguments)
    return run(Places(**vars(options)))


if __name__ == "__main__":
    sys.exit(main())
