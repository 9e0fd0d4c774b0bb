"""The command line."""

import argparse
from collections.abc import Sequence

from droplet.traces.forward import server


def main(arguments: Sequence[str]) -> int:
    """Serve until the unit is stopped."""
    parser = argparse.ArgumentParser(prog="traces", description="Take what may be about people out of spans.")
    parser.add_argument("port", type=int, help="where spans come")
    parser.add_argument("onwards", type=int, help="where they go")
    chosen = parser.parse_args(arguments)
    server(chosen.port, chosen.onwards).serve_forever()
    return 0
