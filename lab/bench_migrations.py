"""Measure runs of migrations that find nothing to do: `python -m lab.bench_migrations [--cells N]`.

One cell with 250 churches, and several side by side; the two take turns, so that a busy machine slows both. Docker is a
stand-in that knows the images. `make bench` runs it with the rest.
"""

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.control_droplet import ControlDroplet
from lab.schema import docker

if TYPE_CHECKING:
    from lab.managed_cluster import Cluster

TENANTS, CELLS = 250, 4

ROUNDS = 5

TARGET_SECONDS, TARGET_RATIO = 5.0, 2.0
"""Of a run over one cell; and of one over four, which are read side by side, compared with it."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=CELLS, help="how many clusters")
    parser.add_argument("--tenants", type=int, default=TENANTS, help="churches in each")
    options = parser.parse_args()
    report(options.cells, options.tenants)
    return 0


def report(cells: int = CELLS, tenants: int = TENANTS) -> None:
    """Print what runs over one cell and over all of them take, and their ratio; or why that was not measured."""
    try:
        # They need psycopg, and servers that only a machine for development has.
        from lab.local_postgres import installations  # noqa: PLC0415
    except ImportError as error:
        print(f"\nMigrations: not measured: {error}")
        return
    if not installations():
        print("\nMigrations: not measured: no Postgres server from 15 on is installed")
        return
    with tempfile.TemporaryDirectory() as scratch, _clusters(Path(scratch), cells, tenants) as clusters:
        droplets = {
            number: _lay_out(Path(scratch, f"droplet-{number}"), clusters[:number]) for number in (1, cells)
        }
        print(f"\nMigrations, nothing to do, {tenants} churches in each cell, medians of {ROUNDS} rounds")
        seconds: dict[int, list[float]] = {number: [] for number in droplets}
        for _ in range(ROUNDS):
            for number, droplet in droplets.items():
                seconds[number].append(_measure(droplet, number * tenants))
    one, all_of_them = (statistics.median(seconds[number]) for number in (1, cells))
    told = "met" if one <= TARGET_SECONDS else "MISSED"
    print(f"  one cell  {one:6.2f} s   target {TARGET_SECONDS:.0f} s: {told}")
    ratio = all_of_them / one
    told = "met" if ratio <= TARGET_RATIO else "MISSED"
    print(f"  {cells} cells   {all_of_them:6.2f} s   time {ratio:5.2f}   target {TARGET_RATIO:.2f}: {told}")


def _measure(droplet: ControlDroplet, churches: int) -> float:
    """Return what a run takes.

    Raises:
        SystemExit: it did not find every database migrated.
    """
    begin = time.perf_counter()
    ended = droplet.migrate()
    took = time.perf_counter() - begin
    found = (droplet.home / "scratch/migrate.prom").read_text(encoding="utf-8")
    if ended.returncode or f'result="done"}} {churches}\n' not in found:
        raise SystemExit(f"bench: the migrations failed:\n{ended.stdout[-2000:]}\n{found}")
    return took


@contextmanager
def _clusters(scratch: Path, cells: int, tenants: int) -> Iterator[list["Cluster"]]:
    """Make clusters whose databases are isolated and have the wanted image in their records."""
    from lab.local_postgres import Template, installations  # noqa: PLC0415
    from lab.managed_cluster import Cluster  # noqa: PLC0415

    # The server runs as another user, and passes through.
    scratch.chmod(0o755)
    (scratch / "template").mkdir()
    installed = installations()
    template = Template(installed[max(installed)], scratch / "template")
    history = {"images": [docker.DIGEST], "revision": "0001", "since": 1_800_000_000}
    record = json.dumps({"isolation": "of the benchmark", "migration": history})
    made = []
    with ExitStack() as stack:
        for number in range(cells):
            server = stack.enter_context(template.server())
            (scratch / f"cell-{number}").mkdir()
            cluster = Cluster(server, scratch / f"cell-{number}").create(control_plane=number == 0)
            cluster.tenants(range(number * tenants, (number + 1) * tenants))
            databases = cluster.superuser(
                "SELECT datname FROM pg_database WHERE datname ~ '^(tenant_|control_)'"
            )
            for (name,) in databases:
                cluster.superuser(
                    f'CREATE ROLE "{name}_owner"',
                    f'CREATE ROLE "{name}_access"',
                    f"COMMENT ON DATABASE \"{name}\" IS '{record}'",
                )
            made.append(cluster)
        yield made


def _lay_out(home: Path, clusters: list["Cluster"]) -> ControlDroplet:
    """Lay a droplet of the control group out."""
    droplet = ControlDroplet(home, [sys.executable, "-I", "-S", docker.__file__, "/", "/"])
    jobs: list[dict[str, object]] = [
        {
            "name": kind, "databases": kind, "service": kind, "image": f"registry.example.org/p/{kind}:1",
            "command": ["alembic"], "environment": {}, "memory_mib": 512, "timeout_seconds": 60,
        }
        for kind in ("control_plane", "tenants")
    ]  # fmt: skip
    wanted = {"jobs": jobs, "canaries": [], "parallel": 4, "share": 100}
    objects = dict.fromkeys(
        ("compose.yaml", "nginx.conf", "release.json", "settings.env", "programs.json"), b"\n"
    )
    objects["migrations.json"] = json.dumps(wanted).encode()
    for number, cluster in enumerate(clusters):
        configuration = cluster.configuration({})
        configuration["clusters"][0]["name"] = f"cluster-{number}"
        part = f"cell-{number + 1}" if number else "environment"
        objects[f"isolation/{part}.json"] = json.dumps(configuration).encode()
    digests = {key: hashlib.sha256(content).hexdigest() for key, content in objects.items()}
    droplet.fetch({**objects, "manifests/environment.json": json.dumps({"objects": digests}).encode()})
    return droplet


if __name__ == "__main__":
    sys.exit(main())
