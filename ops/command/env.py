"""`presence360 env`: the environments."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model.droplets import DropletGroupPlan
from model.environment import EnvironmentFile
from model.loader import Environment
from model.plan import plan_environment
from ops import new_environment
from ops.command import console
from ops.command.options import EnvironmentName, Environments, Json, examples, load, load_some
from ops.new_environment import Wanted
from ops.paths import ENVIRONMENTS
from ops.public_key_file import read_public_key

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
        "cells": file.postgres.cell_names,
        "tenants": len(environment.tenants),
    }


@app.command(**examples("env show staging", "env show staging --json"))
def show(environment: EnvironmentName, json: Json = False, environments: Environments = ENVIRONMENTS) -> None:
    """Show an environment: its groups, clusters and names, and the secrets that it needs."""
    found = load(environments, environment)
    plan = plan_environment(found)
    groups = [_group(group, found.file) for group in plan.groups]
    clusters = [*found.file.postgres.clusters.items(), *found.file.postgres.cells.items()]
    secrets = {
        f"TF_VAR_{variable}": plan.secret_readers.get(variable, []) for variable in plan.terraform_variables
    }
    if json:
        shown = _row(found) | {
            "groups": groups,
            "clusters": [{"cluster": name, **cluster.model_dump(mode="json")} for name, cluster in clusters],
            "overcommit": found.file.postgres.overcommit,
            "auditd": found.file.hardening.auditd,
            "valkey": found.file.valkey.model_dump(mode="json"),
            "terraform_variables": list(secrets),
            "secrets": secrets,
            "warnings": [str(warning) for warning in found.warnings],
        }
        console.as_json(shown)
        return
    chosen = {
        "overcommit": found.file.postgres.overcommit,
        "auditd": "yes" if found.file.hardening.auditd else "no",
    }
    for key, value in {**_row(found), **chosen}.items():
        console.say(
            f"{key.replace('_', ' '):12}  {', '.join(value) or '-' if isinstance(value, list) else value}"
        )
    console.say()
    heading = ("group", "droplets", "size", "services", "hosts")
    console.table(heading, [[_text(group[key]) for key in heading] for group in groups])
    console.say()
    rows = [
        *((name, cluster.size, cluster.nodes, f"Postgres {cluster.version}") for name, cluster in clusters),
        ("valkey", found.file.valkey.size, found.file.valkey.nodes, "Valkey"),
    ]
    console.table(("cluster", "size", "nodes", "engine"), rows)
    console.say()
    console.table(
        ("secret", "services that get it"),
        [(name, " ".join(services) or "none: it pulls the images") for name, services in secrets.items()],
    )
    for warning in found.warnings:
        console.warn(str(warning))


def _group(plan: DropletGroupPlan, file: EnvironmentFile) -> dict[str, Any]:
    group = file.groups[plan.group]
    return {
        "group": plan.group,
        "droplets": f"{group.autoscale.min} to {group.autoscale.max}" if group.autoscale else group.replicas,
        "size": group.size,
        "services": [service.name for service in plan.placement.services],
        "hosts": [host.fqdn(file.base_domain) for host in plan.placement.hosts],
    }


def _text(value: object) -> object:
    return " ".join(value) or None if isinstance(value, list) else value


@app.command(
    **examples(
        "env init preview --from staging",
        "env init preview --from staging --domain preview.example.org --ssh-key ~/.ssh/id_ed25519.pub",
    )
)
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new environment's name.")],
    source: Annotated[
        str, typer.Option("--from", metavar="ENVIRONMENT", help="The environment to copy.")
    ] = "staging",
    domain: Annotated[
        str | None, typer.Option(help="Its base domain; left out, its name in the place of the other's.")
    ] = None,
    ip_range: Annotated[str | None, typer.Option(help="Its VPC's range; left out, a free one.")] = None,
    ssh_key: Annotated[
        Path | None,
        typer.Option(help="Your public key file; left out, an example key to replace."),
    ] = None,
    environments: Environments = ENVIRONMENTS,
) -> None:
    """Write a new environment's folder: like another one, with its own names, domain and range, and no tenants."""
    key = read_public_key(ssh_key) if ssh_key else None
    console.edited(new_environment.init(environments, Wanted(name, source, domain, ip_range, key)))
