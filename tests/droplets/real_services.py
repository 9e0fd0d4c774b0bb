"""Real services on a droplet of the laboratory: the images of lab/services, with their own Postgres and Valkey.

Rekognition and mNotify, which the worker asks, are tests/droplets/providers.py.
"""

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab import valkey
from lab.images import ContainerImage, node_image, python_image
from lab.local_digitalocean.tls import Authority
from lab.local_postgres import PORT, Server, Template, installations, tls_settings
from lab.managed_cluster import Cluster, Tenant
from model.naming import CONTROL_PLANE_DATABASE, CONTROL_PLANE_USER
from model.services import CATALOGUE, Runtime
from ops.paths import ROOT
from tests.droplets import providers
from tests.droplets.conftest import CREDENTIALS, DOMAIN, REPOSITORY, Laboratory
from tests.droplets.laboratory import GATEWAY, STORE_PORT, VPC, Answer, Droplet, eventually, run

API, CONTROL, WEB = f"api.{DOMAIN}", f"cp.{DOMAIN}", f"grace.{DOMAIN}"
SERVICES = ROOT / "lab/services"
VERSION = "1.0.0-real"
STOP_SECONDS = 6
TASK_SECONDS = 16
CONCURRENCY = 2
"""Of the worker (lab/services/backend/Dockerfile)."""
KEYS = {
    "REKOGNITION_ACCESS_KEY_ID": "key-of-rekognition",
    "REKOGNITION_SECRET_ACCESS_KEY": "secret-of-rekognition",
    "MNOTIFY_API_KEY": "of-mnotify",
}
"""The worker's alone."""


@dataclass
class RealServices:
    """What the tests look at.

    Attributes:
        tenant: who has a database with three people.
        providers: Rekognition and mNotify.
    """

    laboratory: Laboratory
    authority: Authority
    postgres: Server
    valkey: valkey.Server
    tenant: Tenant
    providers: providers.Providers

    @property
    def droplet(self) -> Droplet:
        """The first."""
        return self.laboratory.droplet

    @property
    def secrets(self) -> set[str]:
        """What the services know and nobody else may: keys, and the passwords in addresses."""
        given = {
            (name, value)
            for own in self.laboratory.configuration.secrets.values()
            for name, value in own.items()
        }
        found = {value for name, value in given if name.endswith(("SECRET_ACCESS_KEY", "API_KEY"))}
        found |= {urlsplit(value).password or "" for name, value in given if name.endswith("DATABASE_URL")}
        return {*found, self.valkey.password}

    def lines(self, service: str) -> list[dict[str, Any]]:
        """Return the JSON lines of a service's log since its container was made."""
        shown = self.droplet.sh(f"docker logs {container(service)} 2>&1")
        return [json.loads(line) for line in shown.splitlines() if line.startswith("{")]

    def said(self, service: str, message: str, **members: str) -> list[dict[str, Any]]:
        """Return the lines with this message and these members."""
        wanted = {"message": message, **members}
        return [line for line in self.lines(service) if wanted.items() <= line.items()]

    def state(self, service: str) -> dict[str, Any]:
        """Return what Docker knows of a service's container."""
        shown: dict[str, Any] = json.loads(
            self.droplet.sh(f"docker inspect --format '{{{{json .State}}}}' {container(service)}")
        )
        return shown

    def export(self, seconds: float) -> tuple[str, str]:
        """Begin an export that takes so long for each of three people; return the job and the request's id."""
        answer, request = self.ask(API, f"/tenants/{self.tenant.id}/exports?seconds={seconds}", body=b"")
        assert answer.status == 202, answer
        return answer.json["id"], request

    def ask(
        self, host: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[Answer, str]:
        """Ask as a client does; return the answer and the request's id, which is its trace's."""
        mark = f"client-{secrets.token_hex(4)}"
        answer = self.droplet.ask(host, path, body=body, headers={**(headers or {}), "User-Agent": mark})

        def logged() -> str:
            return self.droplet.sh(f"grep {mark} /var/log/nginx/access.log", check=False)

        return answer, json.loads(eventually("nginx logs it", 5, logged))["request_id"]

    def ask_valkey(self, *words: str) -> str:
        """Ask Valkey, as an operator does."""
        (self.valkey.folder / "ca").write_text(self.laboratory.configuration.ca, encoding="utf-8")
        command = [str(valkey.unpacked() / "valkey-cli"), "-h", GATEWAY, "-p", str(valkey.PORT), "--tls"]
        options = [
            "--cacert",
            str(self.valkey.folder / "ca"),
            "--no-auth-warning",
            "-a",
            self.valkey.password,
        ]
        return self.laboratory.network.inside(lambda: run(*command, *options, *words)).strip()

    def restart_valkey(self) -> None:
        """End Valkey, with what is in it, and start another at its place."""
        self.valkey.stop()
        self.valkey.process = self.laboratory.network.inside(
            lambda: valkey.start(self.valkey.folder, self.authority, GATEWAY, self.valkey.password)
        ).process

    def pool(self) -> tuple[str, list[str]]:
        """Return the process numbers of the worker's main process and of its pool, as the droplet counts them."""

        def whole() -> tuple[str, list[str]] | None:
            init = self.state("worker")["Pid"]
            main = self.droplet.sh(f"pgrep --parent {init}", check=False).strip() if init else ""
            below = self.droplet.sh(f"pgrep --parent {main}", check=False).split() if main else []
            return (main, below) if len(below) == CONCURRENCY else None

        return eventually("the worker has its processes", 40, whole) or ("", [])


def container(service: str) -> str:
    """Name a service's container."""
    return f"presence360-{service}-1"


def images() -> dict[Runtime, ContainerImage]:
    """Return the images, made where the cache lacks them.

    Raises:
        lab.debian.MissingError: they cannot be made here.
    """
    return {
        Runtime.PYTHON: python_image(SERVICES / "backend"),
        Runtime.NODE: node_image(SERVICES / "web"),
    }


@contextmanager
def real_services(laboratory: Laboratory, made: dict[Runtime, ContainerImage]) -> Iterator[RealServices]:
    """Let the first droplet run real services; the others keep what they run, and look at no bucket meanwhile.

    What the bucket says is put back in the end, and not waited for.
    """
    configuration, network = laboratory.configuration, laboratory.network
    first, *others = laboratory.droplets
    before = (configuration.versions, configuration.settings, configuration.secrets, configuration.ca)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        loading = pool.submit(_load, first, made)
        for droplet in others:
            droplet.sh("systemctl stop presence360-converge.timer")
            stack.callback(droplet.sh, "systemctl start presence360-converge.timer")
        asked = stack.enter_context(providers.providers(network))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="services-")))
        folder.chmod(0o755)
        authority = Authority({})
        (folder / "valkey").mkdir()
        store = network.inside(
            lambda: valkey.start(folder / "valkey", authority, GATEWAY, secrets.token_urlsafe())
        )
        stack.callback(store.stop)
        server = _postgres(folder, authority, laboratory)
        stack.callback(server.stop)
        cluster = Cluster(server, folder / "droplet").create()
        (tenant,) = cluster.tenants([1])
        outcome = cluster.job()
        assert outcome.code == 0, outcome.log
        with cluster.as_tenant(tenant) as connection:
            connection.execute("CREATE TABLE people (name text)")
            connection.execute("INSERT INTO people VALUES ('Ada'), ('Grace'), ('Mary')")
        _hand_out(cluster, tenant, authority, laboratory)
        loading.result()
        way = f"{CONTROL_PLANE_USER}:{cluster.passwords[CONTROL_PLANE_USER]}@{GATEWAY}:{PORT}"
        given = {
            "VALKEY_URL": f"{store.url}?ssl_cert_reqs=required&ssl_ca_certs=/etc/presence360/ca.pem",
            "CONTROL_PLANE_DATABASE_URL": f"postgresql://{way}/{CONTROL_PLANE_DATABASE}?sslmode=verify-full"
            "&sslrootcert=/etc/presence360/ca.pem",
            "TENANT_CREDENTIALS_BUCKET": CREDENTIALS.partition("/")[0],
            "TENANT_CREDENTIALS_ENDPOINT": f"http://{GATEWAY}:{STORE_PORT}",
            "TENANT_CREDENTIALS_ACCESS_KEY_ID": "reader",
            "TENANT_CREDENTIALS_SECRET_ACCESS_KEY": "of-the-credentials",
        }
        configuration.secrets = {name: given if service.stores else {} for name, service in CATALOGUE.items()}
        configuration.secrets["worker"] = {**given, **KEYS}
        configuration.settings = {
            "PRESENCE360_ENVIRONMENT": "staging",
            "PRESENCE360_BASE_DOMAIN": laboratory.plan.base_domain,
            "TASK_SECONDS": str(TASK_SECONDS),
            "REKOGNITION_ENDPOINT": providers.ADDRESS,
            "MNOTIFY_ENDPOINT": providers.ADDRESS,
        }
        configuration.ca, configuration.stop_seconds = authority.certificate, STOP_SECONDS
        configuration.versions = dict.fromkeys(CATALOGUE, VERSION)
        try:
            laboratory.publish(droplets=[first])
            yield RealServices(laboratory, authority, server, store, tenant, asked)
        finally:
            (
                configuration.versions,
                configuration.settings,
                configuration.secrets,
                configuration.ca,
            ) = before
            configuration.stop_seconds = None


def _load(droplet: Droplet, made: dict[Runtime, ContainerImage]) -> None:
    """Import the root file systems, and make an image of each service's stage, as there is no registry to pull from."""
    for runtime, image in made.items():
        base = f"real-{runtime}:base"
        with image.archive.open("rb") as archive:
            done = subprocess.run(
                droplet.command(f"docker import - {base}"), stdin=archive, capture_output=True, check=False
            )
        assert done.returncode == 0, done.stderr
        for service in CATALOGUE.values():
            if service.runtime is not runtime:
                continue
            stage = "web" if runtime is Runtime.NODE else service.name
            changes = " ".join(f"--change '{change}'" for change in image.changes(stage))
            droplet.sh(
                f"id=$(docker create {base} none) && docker rm $(docker commit {changes} $id "
                f"{REPOSITORY}/{service.name}:{VERSION} >/dev/null && echo $id) >/dev/null"
            )


def _postgres(folder: Path, authority: Authority, laboratory: Laboratory) -> Server:
    installed = installations()
    for name in ("template", "tls", "droplet", "server"):
        (folder / name).mkdir()
    template = Template(installed[max(installed)], folder / "template")
    template.copy(folder / "server")
    with (folder / "server/data/pg_hba.conf").open("a", encoding="utf-8") as doors:
        doors.write(f"hostssl all all {VPC} scram-sha-256\n")
    settings = {"listen_addresses": GATEWAY, **tls_settings(authority, GATEWAY, folder / "tls")}
    return laboratory.network.inside(lambda: template.start(folder / "server", **settings))


def _hand_out(cluster: Cluster, tenant: Tenant, authority: Authority, laboratory: Laboratory) -> None:
    """Write the tenant's credentials object, and let the droplet's pool read it."""
    value = {**cluster.credentials(tenant), "host": GATEWAY, "ca": authority.certificate}
    bucket, _, prefix = CREDENTIALS.partition("/")
    store = laboratory.configuration.store
    laboratory.network.inside(
        lambda: store().put_object(
            Bucket=bucket, Key=f"{prefix}/{tenant.id}.json", Body=json.dumps(value).encode()
        )
    )
    laboratory.droplet.sh("systemctl start presence360-pool.service")


def present() -> str | None:
    """Say what is missing for Postgres on this machine, or None."""
    if not installations() or not shutil.which("psql"):
        return "no Postgres server from 15 on, or no psql, is installed"
    return None
