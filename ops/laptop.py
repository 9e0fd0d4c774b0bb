"""Render the platform for a laptop: `presence360 local`.

The same catalogue, Compose file and nginx configuration as on a droplet, with Postgres and Valkey beside
them, the tenants of an environment's file, and http://{name}.localtest.me:8080 for addresses. Passwords are
`local`: nothing here listens on anything but loopback.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloud_init.compose import render_compose
from cloud_init.nginx import LOCAL_PORT, render_nginx
from model.droplets import DropletGroupPlan
from model.env_file import env_file
from model.errors import relative_name
from model.loader import Environment
from model.local import BASE_DOMAIN, plan_local
from model.naming import FIRST_GENERATION, secrets_key, tenant_database, tenant_user
from model.plan import EnvironmentPlan
from model.service_variables import CONTROL_PLANE_DATABASE_URL, VALKEY_URL, service_secrets
from model.services import CATALOGUE, WILDCARD

PASSWORD = "local"  # noqa: S105 (meant to be seen)


def write(environment: Environment, outdir: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Write everything into a folder; yield what to run next."""
    plan = plan_local(environment)
    outdir.mkdir(parents=True, exist_ok=True)
    for old in outdir.glob("secrets*.env"):
        old.unlink()
    for name, content in files(plan, environ).items():
        (outdir / name).write_text(content, encoding="utf-8", newline="")
    yield from next_steps(plan, outdir)


def files(plan: EnvironmentPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a laptop needs, by file name. An operator's secret is taken from a variable of its name."""
    (group,) = plan.groups
    images = {CATALOGUE[service].image_variable: image for service, image in group.config.images.items()}
    # There is no Spaces here, so what opens a bucket is not among them.
    ways = {
        CONTROL_PLANE_DATABASE_URL: (
            f"postgresql://{plan.control_plane.user}:{PASSWORD}@postgres:5432/{plan.control_plane.database}"
        ),
        VALKEY_URL: "redis://valkey:6379/0",
    }
    secrets = {
        service.name: {
            **{name: environ.get(name) or PASSWORD for name in group.config.secrets[service.name]},
            **{name: ways[name] for name in service_secrets(service) & ways.keys()},
        }
        for service in group.placement.services
    }
    return {
        ".gitignore": "*\n",
        # Compose reads this by itself; a variable of the shell wins, so an image built here can be tried.
        ".env": env_file(dict(sorted(images.items()))),
        "compose.yaml": render_compose(group, local=True),
        # Compose merges this into compose.yaml by itself.
        "compose.override.yaml": _override(plan, group),
        "nginx.conf": render_nginx(group, local=True),
        "settings.env": env_file(group.config.settings),
        **{secrets_key(name): env_file(dict(sorted(own.items()))) for name, own in secrets.items()},
        "databases.sql": _databases(plan),
    }


def hosts(plan: EnvironmentPlan, group: DropletGroupPlan) -> list[str]:
    """Return every name that is served, the tenants' included."""
    labels = [host.fqdn(BASE_DOMAIN) for host in group.placement.hosts if host.label != WILDCARD]
    return labels + [f"{slug}.{BASE_DOMAIN}" for slug in sorted(tenant.slug for tenant in plan.tenants)]


def _override(plan: EnvironmentPlan, group: DropletGroupPlan) -> str:
    """Return what a laptop adds: the databases, and the public names for the containers themselves.

    To a container 127.0.0.1 is itself; as aliases of nginx the names lead where they lead from the browser.
    """
    waits = {"postgres": {"condition": "service_healthy"}, "valkey": {"condition": "service_healthy"}}
    override = {
        "services": {
            "nginx": {"networks": {"default": {"aliases": hosts(plan, group)}}},
            "postgres": {
                "volumes": ["./databases.sql:/docker-entrypoint-initdb.d/10-presence360.sql:ro"],
            },
            **{service.name: {"depends_on": waits} for service in group.placement.services if service.stores},
        }
    }
    # JSON is YAML, and needs no care with what a slug could mean there.
    return json.dumps(override, indent=2) + "\n"


def _databases(plan: EnvironmentPlan) -> str:
    """Return a script that makes what is missing, so that it may run again after a tenant was added."""
    owners = {plan.control_plane.database: plan.control_plane.user}
    for tenant in plan.tenants:
        owners[tenant_database(tenant.id)] = tenant_user(tenant.id, FIRST_GENERATION)
    lines = [
        "-- For psql. Every database has a user of its own with the password `local`, as on a real cluster."
    ]
    for database, user in owners.items():
        lines += [
            f"SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', '{user}', '{PASSWORD}')",
            f"  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') \\gexec",
            f"SELECT format('CREATE DATABASE %I OWNER %I', '{database}', '{user}')",
            f"  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec",
            f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;',
        ]
    return "\n".join(lines) + "\n"


def next_steps(plan: EnvironmentPlan, outdir: Path) -> Iterator[str]:
    """Say what to run, and every address."""
    (group,) = plan.groups
    folder = relative_name(outdir)
    compose = f"docker compose --project-directory {folder}"
    yield f"{folder}: {len(group.placement.services)} services, {len(plan.tenants)} tenants."
    yield ""
    yield f"  docker login {plan.registry.host}"
    yield f"  {compose} up --wait"
    yield ""
    yield "To use an image that you built, or a real secret:"
    first = group.placement.services[0]
    yield f"  {first.image_variable}={first.image}:dev {compose} up --wait"
    if names := sorted({name for own in group.config.secrets.values() for name in own}):
        yield f"  {names[0]}=... presence360 local"
    yield "After tenants.yaml has changed, `presence360 local` and:"
    yield f"  {compose} exec -T postgres psql --username postgres < {folder}/databases.sql"
    yield f"  {compose} up --wait --force-recreate nginx"
    yield "To start again without any data:"
    yield f"  {compose} down --volumes"
    yield ""
    for name in hosts(plan, group):
        closed = group.closed_hosts.get(name)
        yield f"  http://{name}:{LOCAL_PORT}" + (f"  (not served: {closed})" if closed else "")
