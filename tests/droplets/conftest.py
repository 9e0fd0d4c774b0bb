"""One boot of two droplets for the whole session; tests that change them put them back."""

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cloud_init.compose import render_compose
from cloud_init.grafana import render_grafana
from cloud_init.nginx import render_nginx
from cloud_init.observability import render_configuration
from cloud_init.programs import render_programs
from cloud_init.user_data import SpacesAccess, render_user_data
from droplet.converge.manifest import digest_of
from droplet.converge.objects import makes_release
from droplet.telemetry.command import token
from lab.debian import MissingError
from lab.valkey import unpacked
from model.access import BRIDGE_ADDRESS, OTLP_BRIDGE_PORT, OTLP_PORT
from model.backups import BackupsPlan
from model.dashboards import DashboardsPlan, GrafanaPlan
from model.droplets import TENANTS_KEY, DropletGroupPlan, RateLimitPlan
from model.env_file import env_file
from model.layout import place
from model.loader import load_environments
from model.logs import plan_logs
from model.maintenance import MAINTENANCE_KEY, MaintenancePlan
from model.naming import secrets_key
from model.observability import ObservabilityPlan
from model.observability_file import Logs
from model.plan import plan_environment
from model.service_variables import STOP_SECONDS
from model.services import CATALOGUE
from model.status import DropletStatus, parse_status, status_key
from model.telemetry import TELEMETRY_KEY, TelemetryPlan
from model.traces import TracesPlan
from tests.droplet.machine import with_manifest
from tests.droplets.image import PROGRAMS, cached_image, executable
from tests.droplets.laboratory import (
    GATEWAY,
    STORE_HOST,
    STORE_PORT,
    VPC,
    Droplet,
    Network,
    eventually,
    sweep,
)
from tests.observability.loop import impatient
from tests.support import ENVIRONMENTS

if TYPE_CHECKING:
    from tests.droplets.real_services import RealServices

CLOUD_PORT, MESSAGES_PORT = 9001, 9002
"""At the gateway: DigitalOcean's list of droplets, and where people would be told (tests/droplets/test_alerts.py)."""

STAND_IN = Path(__file__).parent / "stand_in.py"

OBSERVED = bool(os.environ.get("PRESENCE360_EVERY_ALERT"))
"""Whether the droplets collect metrics and tell of alerts: with the short intervals of tests that takes a core."""
observed = pytest.mark.skipif(
    not OBSERVED, reason="collecting metrics on booted droplets takes a core: `make prove-alerts`"
)

DOMAIN = "staging.presence360.app"
SLOW_TENANT = f"slow.{DOMAIN}"
"""A tenant whose own limit is a request a second."""

PAUSED_TENANT, GONE_TENANT = f"paused.{DOMAIN}", f"gone.{DOMAIN}"
"""Tenants that nginx itself answers."""

REPOSITORY = "registry.test/presence360"

GROUP_SECRET = "of-the-bucket"
"""Of the group's key."""

CREDENTIALS = "presence360-staging-tenant-credentials/tenants"
"""The bucket with the tenants' credentials, and the folder in it."""

# As in production, only shorter: a drain outlasts two failed health checks, a turn the worst case.
TIMING = {"turns": 2, "slot_seconds": 40, "worst_seconds": 30, "drain_seconds": 4, "wait_seconds": 20}


BACKUPS = BackupsPlan(
    bucket="presence360-staging-backups",
    region="fra1",
    copy_bucket="presence360-staging-backups-copy",
    copy_region="ams3",
    # Of `age-keygen`; nobody has the private halves.
    recipients=(
        "age1r6snvn3qerd4vhl5mu0rx4ruhnpdmxfau9c4g74navgu9stsqy5qldag7d",
        "age1t9rswzdkp68apngukcya0842sar4q0hg0kuft7r4ff7w72zx6p5qy7xup3",
    ),
    keep_days=14,
    copy_days={"days": 14},
    hour="01:00",
    parallel=2,
    rate_mib=32,
)

GRAFANA = Path(__file__).parent / "grafana.py"
LOGS = plan_logs(Logs(days=2, size_gib=1), ["app"])

VICTORIA_TRACES = os.environ.get("VICTORIA_TRACES") or shutil.which("victoria-traces")
"""The store of traces, which is in no Debian: where this machine has it, it runs on the droplets as on real ones."""
TRACES = (
    TracesPlan(image=f"{REPOSITORY}/victoria-traces:1.0.0", days=7, size_gib=1) if VICTORIA_TRACES else None
)

NO_MAINTENANCE = MaintenancePlan(environment=False, tenants=())


def why_not() -> str | None:
    """Say why droplets cannot boot on this machine, or None."""
    if os.geteuid() != 0:
        return "droplets boot in namespaces, which takes root"
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"not installed: {', '.join(missing)} (Debian: mmdebstrap systemd-container iproute2 dpkg-dev)"
    if not importlib.util.find_spec("moto"):
        return "no moto, which plays the object store"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel has no overlay file system"
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker: `pytest -m "not droplet"` leaves out what boots."""
    config.addinivalue_line("markers", "droplet: boots a Debian in namespaces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here, and skip those that boot where that cannot be."""
    reason = why_not()
    for item in items:
        if Path(__file__).parent in item.path.parents and "laboratory" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.droplet)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def plan() -> DropletGroupPlan:
    """Staging's public group with every service of the catalogue in it, on two droplets."""
    environment = next(
        found for found in load_environments(ENVIRONMENTS) if found.file.environment == "staging"
    )
    group = environment.file.groups["app"].model_copy(update={"services": list(CATALOGUE)})
    own = next(group for group in plan_environment(environment).groups if group.placement.public)
    return dataclasses.replace(
        own,
        placement=place({"app": group}, apex=True)[0],
        observability=told_by_webhook(own.observability) if OBSERVED else None,
        # This group runs the isolation job; another control group's status bucket shows which remote is which.
        config=dataclasses.replace(own.config, control_status_bucket="presence360-staging-status-control"),
        base_domain=DOMAIN,
        vpc_range=VPC,
        turns=2,
        rate_limits=RateLimitPlan(default=200, overrides={SLOW_TENANT: 1}),
        closed_hosts={PAUSED_TENANT: 503, GONE_TENANT: 410},
        tenant_slugs=("gone", "grace", "paused", "slow"),
        backups=BACKUPS,
        # Its droplets are the observability group's as well, as in staging.
        telemetry=TelemetryPlan(
            receivers=own.config.status_bucket, senders=("app",), logs=LOGS, sample_percent=100, traces=TRACES
        ),
    )


def told_by_webhook(plan: ObservabilityPlan | None) -> ObservabilityPlan:
    """Return the plan with messages to a webhook alone, since there is no mail relay, and with a Grafana."""
    assert plan
    ways = {"email": None, "webhook": True, "critical": ("webhook",), "warning": ("webhook",)}
    shown = DashboardsPlan(plan.environment, plan.base_domain, None, {"grace": "1"})
    grafana = GrafanaPlan(f"{REPOSITORY}/grafana:1.0.0", shown, traces=TRACES is not None)
    return dataclasses.replace(plan, notify=plan.notify.model_copy(update=ways), grafana=grafana)


def alerting(plan: ObservabilityPlan, *, like_production: bool = False) -> dict[str, str]:
    """Return the objects of metrics and alerts, with less patience or not, and with the laboratory's DigitalOcean."""
    files = json.loads(render_configuration(plan))["files"]
    cloud = f'"server": "http://{GATEWAY}:{CLOUD_PORT}", "authorization"'
    texts = {name: text.replace('"authorization"', cloud) for name, text in files.items()}
    if not like_production:
        texts = {
            name: impatient(text, scrape_interval="3s", scrape_timeout="2s") for name, text in texts.items()
        }
        # The share of a time, as of a worker that hangs.
        texts["rules.yaml"] = texts["rules.yaml"].replace("[15m]) < 0.8", "[20s]) < 0.8")
    backup = {"endpoint": f"http://{STORE_HOST}:{STORE_PORT}", "bucket": plan.bucket}
    known = {
        "observability_token": "reads-droplets",
        "alert_webhook_url": f"http://{GATEWAY}:{MESSAGES_PORT}/",
        "valkey": {"address": f"rediss://{GATEWAY}:6380", "user": "default", "password": "none listens"},
        "backup": {**backup, "access_key": "reader", "secret_key": "of-the-bucket"},
    }
    assert plan.grafana
    return {
        "dashboards.json": render_grafana(plan.grafana),
        "observability.json": json.dumps({"files": texts}),
        "observability-secrets.json": json.dumps(known),
    }


def secrets_for(service: str) -> dict[str, str]:
    """Return a service's secrets: one that it alone has, and one that every service has, each with its own value."""
    own = f"OF_{service.upper().replace('-', '_')}"
    return {own: f"known to {service} alone", "SECRET": f'{service}\'s $HOME\\n "quoted" \\'}


@dataclass
class Configuration:
    """What the group's bucket says; a test changes some of it and publishes."""

    plan: DropletGroupPlan
    network: Network
    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CATALOGUE, "1.0.0"))
    settings: dict[str, str] = field(default_factory=lambda: {"COLOUR": "blue"})
    secrets: dict[str, dict[str, str]] = field(
        default_factory=lambda: {name: secrets_for(name) for name in CATALOGUE}
    )
    """By service."""
    ca: str = "-----BEGIN CERTIFICATE-----\n"
    """The authorities that containers see as /etc/presence360/ca.pem."""
    stop_seconds: int | None = None
    """Of real services, which take longer to start: what they are told to take at the most when they end."""
    turns: int = 1
    closed: dict[str, int] = field(default_factory=dict)
    """More hosts that nginx answers itself, with their status."""
    maintenance: MaintenancePlan = NO_MAINTENANCE
    programs: str = ""
    """programs.json; empty for this repository's."""

    def objects(self) -> Mapping[str, str]:
        """Return the bucket's objects."""
        compose = yaml.safe_load(render_compose(self.plan))
        patience = (
            {"worst_seconds": 120, "slot_seconds": 140, "wait_seconds": 60} if self.stop_seconds else {}
        )
        compose["x-presence360"] = {**TIMING, "turns": self.turns, **patience}
        for service in compose["services"].values():
            if self.stop_seconds:
                names = {STOP_SECONDS, "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN"} & set(service["environment"])
                service["environment"] |= dict.fromkeys(names, str(self.stop_seconds))
            # Each check starts an interpreter: ten containers' would take a core if they came more often.
            service["healthcheck"].update(
                interval="6s", timeout="6s", retries=2, start_period="3s", start_interval="1s"
            )
            if self.stop_seconds:
                service["healthcheck"]["start_period"] = "50s"
                service["stop_grace_period"] = f"{2 * self.stop_seconds}s"
        images = {name: f"{REPOSITORY}/{name}:{version}" for name, version in self.versions.items()}
        return {
            "release.json": json.dumps({"images": images}),
            "settings.env": "# Written by a test.\n" + env_file(self.settings),
            **{secrets_key(service): env_file(own) for service, own in self.secrets.items()},
            "registry.json": json.dumps({"auths": {"registry.test": {"auth": "dXNlcjpwYXNz"}}}),
            "ca.pem": self.ca,
            "compose.yaml": json.dumps(compose),
            "nginx.conf": render_nginx(
                dataclasses.replace(self.plan, closed_hosts={**self.plan.closed_hosts, **self.closed})
            ),
            TENANTS_KEY: json.dumps({"slugs": self.plan.tenant_slugs}),
            MAINTENANCE_KEY: json.dumps(self.maintenance.as_json()),
            "programs.json": self.programs or render_programs(self.plan),
            **(alerting(self.plan.observability) if self.plan.observability else {}),
            TELEMETRY_KEY: json.dumps(
                {
                    "receivers": self.plan.config.status_bucket,
                    "port": OTLP_PORT,
                    "bridge": {"address": BRIDGE_ADDRESS, "port": OTLP_BRIDGE_PORT},
                    "senders": {"app": token(GROUP_SECRET)},
                    "journals": dict(LOGS.ports),
                    "traces": True,
                }
            ),
            "pool.json": json.dumps({"credentials": CREDENTIALS, "droplets": 2, "connections": 5}),
        }

    def publish(self) -> None:
        """Write the objects and then the manifests, as Terraform does."""
        self.change(put=self.objects())

    def change(
        self, *, put: Mapping[str, str] | None = None, delete: Sequence[str] = (), whole: bool = True
    ) -> None:
        """Write and remove objects; `whole` writes manifests after them, as an apply that came to its end."""
        bucket = self.plan.config.bucket

        def work() -> None:
            store = self.store()
            for key, text in (put or {}).items():
                store.put_object(Bucket=bucket, Key=key, Body=text.encode())
            for key in delete:
                store.delete_object(Bucket=bucket, Key=key)
            if not whole:
                return
            listed = store.list_objects_v2(Bucket=bucket).get("Contents", [])
            found = {
                entry["Key"]: store.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode()
                for entry in listed
            }
            for key, text in with_manifest(found).items():
                if key.startswith("manifests/"):
                    store.put_object(Bucket=bucket, Key=key, Body=text.encode())

        self.network.inside(work)

    def status(self, droplet: Droplet) -> DropletStatus:
        """Read what a droplet says of itself, as an operator's machine does."""
        return parse_status(self.status_object(droplet))

    def status_object(self, droplet: Droplet) -> bytes:
        """Read a droplet's status object."""

        def read() -> bytes:
            key = status_key(droplet.name)
            found = self.store().get_object(Bucket=self.plan.config.status_bucket, Key=key)
            return bytes(found["Body"].read())

        return self.network.inside(read)

    @property
    def digest(self) -> str:
        """What droplets call this state."""
        return release_digest(self.objects())

    @property
    def version(self) -> str:
        """What droplets call these programs."""
        return hashlib.sha256(self.objects()["programs.json"].encode()).hexdigest()[:16]

    def store(self) -> Any:
        """Return a client of the object store; for use inside the network."""
        return importlib.import_module("boto3").client(
            "s3",
            endpoint_url=f"http://10.60.0.1:{STORE_PORT}",
            region_name="us-east-1",
            aws_access_key_id="writer",
            aws_secret_access_key="secret",
        )


def release_digest(objects: Mapping[str, str]) -> str:
    """Return what droplets call a state of the bucket."""
    return digest_of({name: text.encode() for name, text in objects.items() if makes_release(name)})


@dataclass
class Laboratory:
    """Two droplets of one group, and what is around them."""

    network: Network
    plan: DropletGroupPlan
    droplets: tuple[Droplet, ...]
    configuration: Configuration
    first_boot: Mapping[str, tuple[int, str, Mapping[str, float]]]
    """By droplet, while the bucket was empty: status and body of the health check, and the metrics."""

    def stop(self) -> None:
        """End the droplets and their network; nothing happens if they have ended."""
        for droplet in self.droplets:
            droplet.stop()
        self.network.stop()

    @property
    def droplet(self) -> Droplet:
        """The first, for what one is enough for."""
        return self.droplets[0]

    def publish(self, seconds: float = 120, *, droplets: Sequence[Droplet] = ()) -> None:
        """Write what the bucket says, and wait until it runs everywhere, or on some."""
        self.configuration.publish()
        runs = f'presence360_release_info{{digest="{self.configuration.digest}"}}'
        by = f'presence360_programs_info{{digest="{self.configuration.version}"}}'

        def arrived(droplet: Droplet) -> bool:
            metrics = droplet.metrics
            return {runs, by} <= set(metrics) and metrics["presence360_converge_success"] == 1

        self.converged("what the bucket says", arrived, seconds, droplets=droplets)

    def converged(
        self,
        what: str,
        ask: Callable[[Droplet], bool],
        seconds: float = 120,
        *,
        droplets: Sequence[Droplet] = (),
    ) -> None:
        """Wait until something is so on every droplet, or on some, and no container is on its way."""
        for droplet in droplets or self.droplets:
            try:
                eventually(what, seconds, functools.partial(ask, droplet))
                eventually("healthy", 30, functools.partial(_healthy, droplet))
            except AssertionError as error:
                journal = droplet.journal("presence360-converge")[-3000:]
                raise AssertionError(f"{droplet.name}: {error}\n{journal}") from None


RUNNING: list[Laboratory] = []
"""What this process has booted, and not yet ended."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """End the droplets with the last of their tests: to the end of the session they would take a core."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while RUNNING:
            RUNNING.pop().stop()


@pytest.fixture(scope="session")
def laboratory(plan: DropletGroupPlan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """Boot two droplets side by side, and let them converge on a first release."""
    sweep()
    network = Network()
    access = SpacesAccess(f"http://{STORE_HOST}:{STORE_PORT}", "reader", GROUP_SECRET)
    user_data = render_user_data(plan, access)
    image = cached_image(yaml.safe_load(user_data)["packages"], STAND_IN)
    folder = tmp_path_factory.mktemp("droplets")
    config = plan.config
    credentials = CREDENTIALS.partition("/")[0]
    backups = (plan.observability.bucket,) if plan.observability else ()
    buckets = (config.bucket, config.status_bucket, config.control_status_bucket, credentials, *backups)
    droplets = tuple(
        Droplet(
            name=f"{plan.name}-{number}-3fa9c{number}",
            address=f"10.60.0.{10 + number}",
            network=network,
            image=image,
            folder=folder / f"{network.name}-{number}",
            user_data=user_data,
            buckets=buckets,
        )
        for number in (1, 2)
    )
    configuration = Configuration(plan, network)
    network.start()
    try:
        network.start_store(folder / "store.log")
        network.start_metadata()
        for bucket in buckets:
            network.inside(functools.partial(configuration.store().create_bucket, Bucket=bucket))
        with ThreadPoolExecutor() as pool:
            first_boot = dict(pool.map(_born, droplets))
        laboratory = Laboratory(network, plan, droplets, configuration, first_boot)
        RUNNING.append(laboratory)
        laboratory.publish()
        yield laboratory
    finally:
        for droplet in droplets:
            droplet.stop()
        network.stop()


@pytest.fixture(scope="package")
def services(laboratory: Laboratory) -> Iterator["RealServices"]:
    """The first droplet with real services: from the first test that asks for them to the end of this folder.

    Files with such tests are the last (test_traces.py by its name, test_services.py by `_LAST` of tests/conftest.py),
    so nothing is put back.
    """
    # It needs this file, and packages that not every machine has.
    pytest.importorskip("psycopg", reason="the Python package psycopg is not installed")
    real = importlib.import_module("tests.droplets.real_services")
    if missing := real.present():
        pytest.skip(missing)
    try:
        made = real.images()
        unpacked()
    except MissingError as error:
        pytest.skip(f"real services: {error}")
    with real.real_services(laboratory, made) as running:
        yield running


@pytest.fixture
def put_back(laboratory: Laboratory) -> Iterator[None]:
    """Leave the droplets as they were."""
    configuration = laboratory.configuration
    secrets = {service: dict(own) for service, own in configuration.secrets.items()}
    before = (dict(configuration.versions), dict(configuration.settings), secrets)
    yield
    configuration.versions, configuration.settings, configuration.secrets = before
    configuration.turns, configuration.programs, configuration.closed = 1, "", {}
    configuration.maintenance = NO_MAINTENANCE
    laboratory.publish()


def _healthy(droplet: Droplet) -> bool:
    return droplet.health.status == 200


def _born(droplet: Droplet) -> tuple[str, tuple[int, str, Mapping[str, float]]]:
    droplet.start()
    droplet.sh("cloud-init status --wait >/dev/null", timeout=240, check=False)
    eventually("the empty bucket was fetched", 30, lambda: "presence360_fetch_success" in droplet.metrics)
    health = droplet.health
    before = health.status, health.body, droplet.metrics
    shutil.copy(droplet.image.stand_in, droplet.root / "root/stand-in.tar")
    if OBSERVED:
        shutil.copy(GRAFANA, droplet.root / "root/grafana.py")
    droplet.sh(_images(), timeout=120)
    if VICTORIA_TRACES:
        _import_store(droplet, Path(VICTORIA_TRACES))
    return droplet.name, before


def _import_store(droplet: Droplet, program: Path) -> None:
    """Make the image of the store of traces, as upstream's is: a program that needs no library, alone."""
    with tarfile.open(droplet.root / "srv/store.tar", "w") as tar:
        tar.add(program, "victoria-traces-prod", filter=executable)
    entry = "--change 'ENTRYPOINT [\"/victoria-traces-prod\"]'"
    droplet.sh(
        f"docker import {entry} /srv/store.tar {REPOSITORY}/victoria-traces:1.0.0 && rm /srv/store.tar"
    )


def _images() -> str:
    """Return a script that makes the stand-in images: there is no registry to pull from."""
    lines = [
        "set -eu",
        "cd /root",
        "docker import --change 'CMD [\"/usr/bin/stand-in\"]' stand-in.tar stand-in:base >/dev/null",
        "rm stand-in.tar",
    ]
    builds = [(service, "1.0.0", "") for service in CATALOGUE]
    builds += [
        ("tenant-api", "2.0.0", ""),
        ("tenant-api", "3.0.0", ""),
        ("tenant-api", "6.6.6", "ENV ILL=yes"),
    ]
    for service, version, more in builds:
        changes = [f"ENV VERSION={version}", *filter(None, [more])]
        options = " ".join(f"--change '{change}'" for change in changes)
        lines += [
            "id=$(docker create stand-in:base)",
            f"docker commit {options} $id {REPOSITORY}/{service}:{version} >/dev/null",
            "docker rm $id >/dev/null",
        ]
    if OBSERVED:
        entry = 'CMD ["python3", "-IB", "/usr/bin/grafana.py"]'
        lines += [
            "id=$(docker create stand-in:base)",
            "docker cp --quiet grafana.py $id:/usr/bin/grafana.py",
            f"docker commit --change '{entry}' $id {REPOSITORY}/grafana:1.0.0 >/dev/null",
            "docker rm $id >/dev/null && rm grafana.py",
        ]
    return "\n".join(lines)
