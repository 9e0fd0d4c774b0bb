"""One boot of two droplets for the whole session; tests that change them put them back."""

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from cloud_init.programs import render_programs
from cloud_init.user_data import SpacesAccess, render_user_data
from droplet.converge.manifest import digest_of
from droplet.converge.objects import makes_release
from model.droplets import TENANTS_KEY, DropletGroupPlan, RateLimitPlan
from model.env_file import env_file
from model.layout import place
from model.loader import load_environments
from model.naming import secrets_key
from model.plan import plan_environment
from model.services import CATALOGUE
from model.status import DropletStatus, parse_status, status_key
from tests.droplet.machine import with_manifest
from tests.droplets.image import PROGRAMS, cached_image
from tests.droplets.laboratory import STORE_HOST, STORE_PORT, VPC, Droplet, Network, eventually, sweep
from tests.support import ENVIRONMENTS

STAND_IN = Path(__file__).parent / "stand_in.py"

DOMAIN = "staging.presence360.app"
SLOW_TENANT = f"slow.{DOMAIN}"
"""A tenant whose own limit is a request a second."""

PAUSED_TENANT, GONE_TENANT = f"paused.{DOMAIN}", f"gone.{DOMAIN}"
"""Tenants that nginx itself answers."""

REPOSITORY = "registry.test/presence360"

CREDENTIALS = "presence360-staging-tenant-credentials/tenants"
"""The bucket with the tenants' credentials, and the folder in it."""

# As in production, only shorter: a drain outlasts two failed health checks, a turn the worst case.
TIMING = {"turns": 2, "slot_seconds": 40, "worst_seconds": 30, "drain_seconds": 4, "wait_seconds": 20}


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
        # This group runs the isolation job; another control group's status bucket shows which remote is which.
        config=dataclasses.replace(own.config, control_status_bucket="presence360-staging-status-control"),
        base_domain=DOMAIN,
        vpc_range=VPC,
        turns=2,
        rate_limits=RateLimitPlan(default=200, overrides={SLOW_TENANT: 1}),
        closed_hosts={PAUSED_TENANT: 503, GONE_TENANT: 410},
        tenant_slugs=("gone", "grace", "paused", "slow"),
    )


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
    turns: int = 1
    closed: dict[str, int] = field(default_factory=dict)
    """More hosts that nginx answers itself, with their status."""
    programs: str = ""
    """programs.json; empty for this repository's."""

    def objects(self) -> Mapping[str, str]:
        """Return the bucket's objects."""
        compose = yaml.safe_load(render_compose(self.plan))
        compose["x-presence360"] = {**TIMING, "turns": self.turns}
        for service in compose["services"].values():
            # Each check starts an interpreter: ten containers' would take a core if they came more often.
            service["healthcheck"].update(
                interval="6s", timeout="6s", retries=2, start_period="3s", start_interval="1s"
            )
        images = {name: f"{REPOSITORY}/{name}:{version}" for name, version in self.versions.items()}
        return {
            "release.json": json.dumps({"images": images}),
            "settings.env": "# Written by a test.\n" + env_file(self.settings),
            **{secrets_key(service): env_file(own) for service, own in self.secrets.items()},
            "registry.json": json.dumps({"auths": {"registry.test": {"auth": "dXNlcjpwYXNz"}}}),
            "ca.pem": "-----BEGIN CERTIFICATE-----\n",
            "compose.yaml": json.dumps(compose),
            "nginx.conf": render_nginx(
                dataclasses.replace(self.plan, closed_hosts={**self.plan.closed_hosts, **self.closed})
            ),
            TENANTS_KEY: json.dumps({"slugs": self.plan.tenant_slugs}),
            "programs.json": self.programs or render_programs(self.plan),
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

        def read() -> bytes:
            key = status_key(droplet.name)
            found = self.store().get_object(Bucket=self.plan.config.status_bucket, Key=key)
            return bytes(found["Body"].read())

        return parse_status(self.network.inside(read))

    @property
    def digest(self) -> str:
        """What droplets call this state."""
        objects = self.objects()
        return digest_of({name: text.encode() for name, text in objects.items() if makes_release(name)})

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

    def publish(self, seconds: float = 120) -> None:
        """Write what the bucket says, and wait until it runs everywhere."""
        self.configuration.publish()
        runs = f'presence360_release_info{{digest="{self.configuration.digest}"}}'
        by = f'presence360_programs_info{{digest="{self.configuration.version}"}}'

        def arrived(droplet: Droplet) -> bool:
            metrics = droplet.metrics
            return {runs, by} <= set(metrics) and metrics["presence360_converge_success"] == 1

        self.converged("what the bucket says", arrived, seconds)

    def converged(self, what: str, ask: Callable[[Droplet], bool], seconds: float = 120) -> None:
        """Wait until something is so on every droplet, and no container is on its way."""
        for droplet in self.droplets:
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
    access = SpacesAccess(f"http://{STORE_HOST}:{STORE_PORT}", "reader", "of-the-bucket")
    user_data = render_user_data(plan, access)
    image = cached_image(yaml.safe_load(user_data)["packages"], STAND_IN)
    folder = tmp_path_factory.mktemp("droplets")
    config = plan.config
    credentials = CREDENTIALS.partition("/")[0]
    buckets = (config.bucket, config.status_bucket, config.control_status_bucket, credentials)
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


@pytest.fixture
def put_back(laboratory: Laboratory) -> Iterator[None]:
    """Leave the droplets as they were."""
    configuration = laboratory.configuration
    secrets = {service: dict(own) for service, own in configuration.secrets.items()}
    before = (dict(configuration.versions), dict(configuration.settings), secrets)
    yield
    configuration.versions, configuration.settings, configuration.secrets = before
    configuration.turns, configuration.programs, configuration.closed = 1, "", {}
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
    droplet.sh(_images(), timeout=120)
    return droplet.name, before


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
    return "\n".join(lines)
