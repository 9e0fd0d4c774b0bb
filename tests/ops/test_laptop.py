"""The platform on a laptop: what is rendered, and that Compose, nginx and Postgres take it."""

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.loader import load_environments
from model.local import plan_local
from ops.edits import by_name
from ops.laptop import files, next_steps, write
from tests.constructs_lib.test_terraform_text import compose_command
from tests.support import ENVIRONMENTS, write_lives

ROOT = Path(__file__).parents[2]
GRACE = "tenant_3f0a4c1e-8f4e-4c55-9a35-0d7a51c0a001"


def render(environment: str, outdir: Path, environ: Mapping[str, str]) -> list[str]:
    """What is said of an environment, whose files are written."""
    return list(write(by_name(load_environments(ENVIRONMENTS))[environment], outdir, environ))


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    render("staging", tmp_path, {"MNOTIFY_API_KEY": "a real $one"})
    return tmp_path


def test_it_says_what_to_run_next(tmp_path: Path) -> None:
    said = render("production", tmp_path, {})
    assert f"{tmp_path}: 5 services, 4 tenants." in said
    assert f"  docker compose --project-directory {tmp_path} up --wait" in said
    for name in ("cp", "app", "admin", "api", "grace", "zion"):
        assert f"  http://{name}.localtest.me:8080" in said
    # Production's base domain answers by the environment's own choice only.
    assert "  http://localtest.me:8080" not in said


def test_git_never_sees_it(rendered: Path) -> None:
    assert (rendered / ".gitignore").read_text() == "*\n"


def merged(folder: Path, **environ: str) -> dict[str, Any]:
    """The Compose project as Compose reads it."""
    command = [*compose_command(), "--project-directory", str(folder), "config", "--format", "json"]
    shown = subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return dict(json.loads(shown.stdout)["services"])


def test_compose_takes_it(rendered: Path) -> None:
    services = merged(rendered)
    assert set(services) == {
        "tenant-api", "worker", "web-tenant", "control-plane-api", "web-control-plane",
        "nginx", "postgres", "valkey",
    }  # fmt: skip
    assert services["worker"]["image"] == "registry.digitalocean.com/presence360/worker:1.4.2"
    assert services["postgres"]["image"] == "postgres:17"
    assert services["valkey"]["image"] == "valkey/valkey:8"
    environment = services["control-plane-api"]["environment"]
    assert (
        environment["CONTROL_PLANE_DATABASE_URL"]
        == "postgresql://control_plane:local@postgres:5432/control_plane"
    )
    assert environment["VALKEY_URL"] == "redis://valkey:6379/0"
    assert environment["PRESENCE360_BASE_DOMAIN"] == "localtest.me"
    assert environment["PRESENCE360_ENVIRONMENT"] == "local"
    assert environment["LOG_LEVEL"] == "debug"
    # A secret of the operators' is what the shell says, or plainly none, and each service has its own.
    assert services["worker"]["environment"]["MNOTIFY_API_KEY"] == "a real $$one"
    assert environment["SESSION_SIGNING_KEY"] == "local"
    assert "MNOTIFY_API_KEY" not in environment


def test_each_service_has_a_file_of_its_own_secrets(rendered: Path) -> None:
    # Of an earlier version, or of a service that is gone.
    (rendered / "secrets.env").write_text("OLD=secret\n")
    render("staging", rendered, {"MNOTIFY_API_KEY": "real"})
    found = {path.name: path.read_text() for path in rendered.glob("secrets*.env")}
    assert found == {
        "secrets.tenant-api.env": 'SESSION_SIGNING_KEY="local"\nVALKEY_URL="redis://valkey:6379/0"\n',
        "secrets.worker.env": 'MNOTIFY_API_KEY="real"\nREKOGNITION_ACCESS_KEY_ID="local"\n'
        'REKOGNITION_SECRET_ACCESS_KEY="local"\nVALKEY_URL="redis://valkey:6379/0"\n',
        "secrets.control-plane-api.env": "CONTROL_PLANE_DATABASE_URL="
        '"postgresql://control_plane:local@postgres:5432/control_plane"\nSESSION_SIGNING_KEY="local"\n'
        'VALKEY_URL="redis://valkey:6379/0"\n',
        "secrets.web-tenant.env": "",
        "secrets.web-control-plane.env": "",
    }


def test_nothing_listens_but_on_loopback(rendered: Path) -> None:
    ports = [port for service in merged(rendered).values() for port in service.get("ports", [])]
    assert {port["target"] for port in ports} == {8080, 5432, 6379}
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_a_shells_image_wins(rendered: Path) -> None:
    assert merged(rendered, WORKER_IMAGE="worker:dev")["worker"]["image"] == "worker:dev"


def test_containers_find_the_public_names_at_nginx(rendered: Path) -> None:
    services = merged(rendered)
    assert services["nginx"]["networks"]["default"]["aliases"] == [
        f"{name}localtest.me" for name in ("", "admin.", "api.", "app.", "cp.", "grace.", "hope.", "river.")
    ]
    assert services["nginx"]["ports"][0]["target"] == 8080


def test_what_stores_data_is_up_before_what_needs_it(rendered: Path) -> None:
    services = merged(rendered)
    for name in ("tenant-api", "worker", "control-plane-api"):
        waits = services[name]["depends_on"]
        assert {store: waits[store]["condition"] for store in ("postgres", "valkey")} == {
            "postgres": "service_healthy",
            "valkey": "service_healthy",
        }
    (script,) = [volume for volume in services["postgres"]["volumes"] if volume["type"] == "bind"]
    assert script["source"] == str(rendered / "databases.sql")
    assert script["target"].startswith("/docker-entrypoint-initdb.d/")


def test_nginx_takes_it(rendered: Path, tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None or not Path("/etc/nginx/mime.types").exists():
        pytest.skip("nginx is not installed")
    text = (rendered / "nginx.conf").read_text()
    for service in ("tenant-api", "web-tenant", "control-plane-api", "web-control-plane"):
        text = text.replace(f"server {service}:", "server 127.0.0.1:")
    configuration = tmp_path / "loopback.conf"
    configuration.write_text(f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\n{text}")
    tested = subprocess.run([nginx, "-t", "-c", configuration], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


@pytest.fixture
def postgres() -> Iterator[list[str]]:
    """A server of its own on a Unix socket; the beginning of psql's command line."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("there is no Postgres server on this machine")
    programs = found[-1].parent
    # Postgres refuses to run as root.
    become = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    folder = Path(tempfile.gettempdir()) / f"p360-{os.getpid()}"  # a socket's path is short
    folder.mkdir(mode=0o755)
    if become:
        shutil.chown(folder, "postgres", "postgres")

    def run(*command: str) -> None:
        subprocess.run([*become, *command], check=True, capture_output=True, cwd="/")

    run(
        str(programs / "initdb"),
        "--auth=trust",
        "--username=postgres",
        "--no-sync",
        f"--pgdata={folder}/data",
    )
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    run(str(programs / "pg_ctl"), "start", "-w", f"-D{folder}/data", f"-l{folder}/log", f"-o{options}")
    try:
        yield [str(programs / "psql"), f"--host={folder}", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-At"]
    finally:
        run(str(programs / "pg_ctl"), "stop", "-w", "-mimmediate", f"-D{folder}/data")
        shutil.rmtree(folder)


@pytest.mark.isolation
def test_every_tenant_has_a_database_and_a_user_of_its_own(rendered: Path, postgres: list[str]) -> None:
    def sql(user: str, database: str, statement: str) -> subprocess.CompletedProcess[str]:
        command = [*postgres, f"--username={user}", f"--dbname={database}", "-c", statement]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for _ in range(2):  # Again, as after a tenant was added.
        with (rendered / "databases.sql").open() as script:
            done = subprocess.run(
                [*postgres, "--username=postgres"], stdin=script, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    databases = sql("postgres", "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'tenant%'")
    assert databases.stdout == "3\n"
    assert sql(f"{GRACE}_g1", GRACE, "CREATE TABLE a ()").returncode == 0
    assert sql("control_plane", "control_plane", "CREATE TABLE a ()").returncode == 0
    assert "permission denied for database" in sql(f"{GRACE}_g1", "control_plane", "SELECT 1").stderr


def test_an_environments_limits_hold_on_a_laptop_too(tmp_path: Path) -> None:
    shutil.copytree(ENVIRONMENTS, tmp_path / "environments", ignore=shutil.ignore_patterns("*.lock"))
    file = tmp_path / "environments" / "staging" / "tenants.yaml"
    tenants = yaml.safe_load(file.read_text())
    tenants["tenants"][0]["limits"] = {"requests_per_second": 50}
    file.write_text(yaml.safe_dump(tenants))
    out = tmp_path / "out"
    list(write(by_name(load_environments(tmp_path / "environments"))["staging"], out, {}))
    assert "grace.localtest.me $host;" in (out / "nginx.conf").read_text()


def test_a_tenant_that_is_not_served_is_told_and_answered_by_nginx() -> None:
    environment = next(one for one in load_environments(ENVIRONMENTS) if one.file.environment == "staging")
    plan = plan_local(environment)
    (group,) = plan.groups
    closed = dataclasses.replace(group, closed_hosts={"grace.localtest.me": 503})
    plan = dataclasses.replace(plan, groups=(closed,))
    configuration = files(plan, {})["nginx.conf"]
    server = configuration.partition("return 503")[0].rpartition("server {")[2]
    assert "listen 8080;" in server
    assert "grace.localtest.me" in server
    steps = list(next_steps(plan, ROOT / ".local"))
    assert "  http://grace.localtest.me:8080  (not served: 503)" in steps
    assert "  http://hope.localtest.me:8080" in steps


def test_tenants_of_every_cell_are_there(tmp_path: Path) -> None:
    environments = write_lives(tmp_path / "environments")
    (environment,) = load_environments(environments)
    script = files(plan_local(environment), {})["databases.sql"]
    for tenant in environment.tenants:
        assert f"'tenant_{tenant.id}'" in script
