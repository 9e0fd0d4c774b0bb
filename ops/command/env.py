"""`presence360 env`: the environments."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model.cells import cells_in_order
from model.loader import Environment
from model.plan import plan_environment
from ops import new_environment
from ops.command import console
from ops.command.options import ENVIRONMENTS, EnvironmentName, Environments, Json, examples, load, load_some
from ops.new_environment import Wanted

app = typer.Typer(no_args_is_help=True, help="Environments: list and show them, write a new one.")


@app.command("list", **examples("env list", "env list --json"))
def list_environments(json: Json = False, environments: Environments = ENVIRONMENTS) -> None:
    """List the environments."""
    rows = [_row(environment) for environment in load_some(environments, None)]
    if json:
        console.as_json(rows)
        return
    heading = ("environment", "region", "base_domain", "ip_range", "groups", "cells", "tenants")
    cells = [[len(row[key]) if isinstance(row[key], list) else row[key] for key in heading] for row in rows]
    console.table(tuple(key.replace("_", " ") for key in heading), cells, numbers=frozenset({4, 5, 6}))


def _row(environment: Environment) -> dict[str, Any]:
    file = environment.file
    return {
        "environment": file.environment,
        "description": file.description,
        "region": file.region,
        "base_domain": file.base_domain,
        "ip_range": str(file.network.ip_range),
        "groups": sorted(file.groups),
        "cells": cells_in_order(file),
        "tenants": len(environment.tenants),
    }


@app.command(**examples("env show staging", "env show staging --json"))
def show(environment: EnvironmentName, json: Json = False, environments: Environments = ENVIRONMENTS) -> None:
    """Show an environment: its groups, clusters and names, and the secrets that it needs."""
    found = load(environments, environment)
    plan = plan_environment(found)
    file = found.file
    hosts = {
        group.group: [host.fqdn(file.base_domain) for host in group.placement.hosts] for group in plan.groups
    }
    groups = {
        name: {
            "services": list(group.services),
            "size": group.size,
            "droplets": group.replicas or f"{group.autoscale.min} to {group.autoscale.max}" if group.autoscale else group.replicas,
            "hosts": hosts[name],
        }
        for name, group in file.groups.items()
    }
    clusters = {
        name: {"size": cluster.size, "nodes": cluster.nodes, "version": cluster.version}
        for name, cluster in [*file.postgres.clusters.items(), *file.postgres.cells.items()]
    }
    shown = _row(found) | {
        "groups": groups,
        "clusters": clusters,
        "valkey": {"size": file.valkey.size, "nodes": file.valkey.nodes},
        "terraform_variables": [f"TF_VAR_{variable}" for variable in plan.terraform_variables],
        "warnings": [str(warning) for warning in found.warnings],
    }
    if json:
        console.as_json(shown)
        return
    for key in ("environment", "description", "region", "base_domain", "ip_range", "tenants"):
        console.say(f"{key.replace('_', ' '):12}  {shown[key]}")
    console.say()
    rows = [(name, one["droplets"], one["size"], " ".join(one["services"]), " ".join(one["hosts"])) for name, one in groups.items()]
    console.table(("group", "droplets", "size", "services", "hosts"), rows)
    console.say()
    data = [*clusters.items(), ("valkey", shown["valkey"])]
    console.table(("cluster", "size", "nodes", "version"), [(name, one["size"], one["nodes"], one.get("version")) for name, one in data])
    console.say()
    console.say("secrets: " + " ".join(shown["terraform_variables"]))
    for warning in shown["warnings"]:
        console.warn(warning)


@app.command(
    **examples(
        "env init preview --from staging",
        "env init preview --from staging --domain preview.example.org --ssh-key ~/.ssh/id_ed25519.pub",
    )
)
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new environment's name.")],
    source: Annotated[str, typer.Option("--from", metavar="ENVIRONMENT", help="The environment to copy.")] = "staging",
    domain: Annotated[
        str | None, typer.Option(help="Its base domain; left out, its name in the place of the other's.")
    ] = None,
    ip_range: Annotated[str | None, typer.Option(help="Its VPC's range; left out, a free one.")] = None,
    ssh_key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Your public key file; left out, an example key to replace."),
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Write a new environment's folder: like another one, with its own names, domain and range, and no tenants."""
    key = ssh_key.read_text(encoding="utf-8").strip() if ssh_key else None
    console.edited(new_environment.init(environments, Wanted(name, source, domain, ip_range, key)))
