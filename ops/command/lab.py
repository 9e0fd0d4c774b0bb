"""`presence360 rehearse`, `local`, `local-digitalocean`: try things without an account."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ops import laptop
from ops.cdktf_process import SIGNALS
from ops.command import console
from ops.command.options import EnvironmentName, Environments, examples, folder_to_write, load
from ops.paths import ENVIRONMENTS, ROOT

LAB = "Without an account"

app = typer.Typer()

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(
    rich_help_panel=LAB,
    context_settings=_PASSED_ON,
    **examples(
        "rehearse",
        "rehearse --list",
        "rehearse add-tenant --environment production",
        "rehearse diff --base ../main",
    ),
)
def rehearse(context: typer.Context) -> None:
    """Deploy to a local DigitalOcean with the real provider, and rehearse changes there (docs/rehearsal.md).

    Arguments are those of `python -m lab.rehearsal`.
    """
    raise typer.Exit(_run("lab.rehearsal", context.args))


@app.command(
    "local-digitalocean",
    rich_help_panel=LAB,
    context_settings=_PASSED_ON,
    **examples("local-digitalocean --folder /tmp/digitalocean"),
)
def local_digitalocean(context: typer.Context) -> None:
    """Serve a local DigitalOcean, and print what to export to use it.

    Options are those of `python -m lab.local_digitalocean`.
    """
    raise typer.Exit(_run("lab.local_digitalocean", context.args))


@app.command(rich_help_panel=LAB, **examples("local", "local production"))
def local(
    environment: EnvironmentName = "staging",
    outdir: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where to write; git ignores it.", show_default=".local")
    ] = ROOT / ".local",
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Render the platform for a laptop: Compose, nginx, settings, with an environment's churches."""
    loaded = load(environments, environment)
    for line in laptop.write(loaded, folder_to_write(outdir), os.environ):
        console.say(line)


def _run(module: str, arguments: list[str]) -> int:
    """Run a program of the lab, which `ops` may not import, in the caller's folder; its exit code.

    A signal that would end this process is passed on, and the program is waited for: it ends with its servers, and
    nothing that it serves is left behind.
    """
    command = [sys.executable, "-P", "-m", module, *arguments]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:

        def pass_on(number: int, _frame: FrameType | None) -> None:
            # Ctrl-C reaches all that the terminal runs, the program included: a second one would disturb its end.
            if number != signal.SIGINT or not sys.stdin.isatty():
                process.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in SIGNALS}
        code = process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
