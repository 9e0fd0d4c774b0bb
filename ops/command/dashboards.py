"""`presence360 dashboards`: the dashboards as files, for a Grafana that is not ours."""

from pathlib import Path
from typing import Annotated

import typer

from cloud_init.dashboards import render_dashboards
from model.dashboards import ADDRESS, PORT, plan_dashboards
from ops.command import console
from ops.command.options import EnvironmentName, Environments, examples, folder_to_write, load
from ops.paths import ENVIRONMENTS

app = typer.Typer()

Into = Annotated[
    Path,
    typer.Option(
        "--into",
        metavar="FOLDER",
        help="The folder for the files; it is made where there is none.",
        show_default=False,
    ),
]


@app.command(
    rich_help_panel="What the files come to",
    **examples(
        "dashboards production --into dashboards", "dashboards staging --into /srv/grafana/dashboards"
    ),
)
def dashboards(environment: EnvironmentName, into: Into, environments: Environments = ENVIRONMENTS) -> None:
    """Write the dashboards of an environment as JSON, as Grafana imports them.

    They need a source of data of the type Prometheus with the uid `metrics`. With `observability.dashboards` the
    observability droplet has a Grafana that shows them: docs/dashboards.md.
    """
    found = load(environments, environment)
    folder = folder_to_write(into)
    for name, text in render_dashboards(plan_dashboards(found.file, found.tenants)).items():
        (folder / name).write_text(text, encoding="utf-8")
        console.say(str(folder / name))
    if found.file.observability and found.file.observability.dashboards:
        console.note(
            f"They are at {ADDRESS}, too: ssh -L {PORT}:127.0.0.1:{PORT} root@<the observability droplet>"
        )
