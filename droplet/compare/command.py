"""The command: its arguments, and what it needs of the droplet."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import droplet.compare
from droplet import by_hand
from droplet.compare.compare import READING, Comparison
from droplet.names import Place, tenant_of
from droplet.outcome import RefusedError
from droplet.postgres import Client, newest_programs


def main(arguments: Sequence[str]) -> int:
    """Run; 0 if both databases were read, whether they differ or not."""
    return by_hand.run(partial(_compare, _parse(arguments)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare",
        description=droplet.compare.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("then", help="the database that was restored, such as tenant_<id>_r2")
    parser.add_argument("now", help="the database that is served, such as tenant_<id>")
    parser.add_argument("--in", dest="cluster", required=True, help="the cluster that has both")
    parser.add_argument("--configurations", type=Path, default=by_hand.CONFIGURATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--programs", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _compare(options: argparse.Namespace, private: Path) -> None:
    then, now = options.then, options.now
    if not tenant_of(then) or tenant_of(then) != tenant_of(now) or then == now:
        raise RefusedError(f"{then!r} and {now!r} are not two databases of one church")
    client = Client.prepare(
        by_hand.find_cluster(options.configurations, options.cluster),
        private / "cluster",
        options.programs or newest_programs("psql"),
        application="presence360-compare",
        settings={**by_hand.SETTINGS, **READING},
    )
    Comparison(client, Place(then), Place(now), private).run()
