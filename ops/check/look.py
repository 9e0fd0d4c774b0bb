"""What checks share: an environment, and what was read of it, each list asked for once."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from model.contract import ContractError
from model.data import ClusterPlan
from model.loader import Environment
from model.plan import EnvironmentPlan, plan_environment
from model.status import ENVIRONMENT_MANIFEST, Manifest, manifest_key, parse_manifest
from ops.api_client import ApiError, Client
from ops.check.finding import NotSeenError
from ops.check.world import World
from ops.digitalocean import Spaces
from ops.fleet import Fleet, Report
from ops.paths import OUTDIR, ROOT
from ops.waiting import SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError

API_SECONDS = 15
API_TRIES = 2

T = TypeVar("T")
Record = dict[str, Any]

_SCOPES = 'Give the token the `read` scopes of docs/ci.md, "The read-only token"'
_WITHOUT = "Set DIGITALOCEAN_TOKEN, in .env or as a variable; a token that reads is enough"
_NO_KEY = "Set SPACES_ACCESS_KEY_ID and SPACES_SECRET_ACCESS_KEY, in .env or as variables; a key that reads is enough"


@dataclass
class Look:
    """One environment, looked at now.

    Attributes:
        environment: its files.
        environ: the variables with the keys.
        world: the network from here.
        clock: the clock.
        root: the checkout.
        outdir: where the stacks were synthesized.
    """

    environment: Environment
    environ: Mapping[str, str]
    world: World
    clock: Clock = SYSTEM_CLOCK
    root: Path = ROOT
    outdir: Path = OUTDIR
    _asked: dict[object, tuple[threading.Lock, list[Any]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def plan(self) -> EnvironmentPlan:
        """What the files decide."""
        return plan_environment(self.environment)

    @property
    def name(self) -> str:
        """The environment's."""
        return self.environment.file.environment

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.now()

    def once(self, key: object, ask: Callable[[], T]) -> T:
        """Return what was asked for, once for all checks; what failed is not asked for again either."""
        with self._lock:
            lock, kept = self._asked.setdefault(key, (threading.Lock(), []))
        with lock:
            if not kept:
                try:
                    kept.append((True, ask()))
                except Exception as error:
                    kept.append((False, error))
        done, value = kept[0]
        if not done:
            raise value
        found: T = value
        return found

    def all(self, path: str, key: str, **query: object) -> list[Record]:
        """Return every entry of a list of the API.

        Raises:
            NotSeenError: there is no token, it may not read this, or the API does not answer.
        """
        return self._api((path, tuple(sorted(query.items()))), lambda api: api.all(path, key, **query))

    def get(self, path: str) -> Record:
        """Return an answer of the API.

        Raises:
            NotSeenError: as above.
        """
        return self._api(path, lambda api: dict(api.get(path)))

    def _api(self, key: object, ask: Callable[[Client], T]) -> T:
        if not (self.environ.get("DIGITALOCEAN_TOKEN") or self.environ.get("DIGITALOCEAN_ACCESS_TOKEN")):
            raise NotSeenError("DIGITALOCEAN_TOKEN is not set", _WITHOUT)
        try:
            return self.once(
                ("api", key),
                lambda: ask(
                    Client.of(self.environ, seconds=API_SECONDS, tries=API_TRIES, sleep=self.clock.sleep)
                ),
            )
        except ApiError as error:
            todo = "Try again; https://status.digitalocean.com says whether the API has trouble"
            if error.is_unknown_token:
                todo = "DigitalOcean does not know this token: make another one (docs/ci.md)"
            elif error.status == HTTPStatus.FORBIDDEN:
                todo = _SCOPES
            raise NotSeenError(str(error), todo) from None

    def named(self, path: str, key: str) -> dict[str, Record]:
        """Return the entries of a list of the API by name."""
        return {str(one["name"]): one for one in self.all(path, key)}

    @property
    def balancers(self) -> dict[str, Record]:
        """The account's load balancers by name."""
        return self.named("/v2/load_balancers", "load_balancers")

    @property
    def clusters(self) -> dict[str, Record]:
        """The account's database clusters by name."""
        return self.named("/v2/databases", "databases")

    @property
    def droplets(self) -> list[Record]:
        """The account's droplets that carry one of the environment's tags."""
        network = self.plan.network
        ours = {network.environment_tag, *network.group_tags.values(), *network.plane_tags.values()}
        return [one for one in self.all("/v2/droplets", "droplets") if ours & set(one.get("tags") or ())]

    @property
    def vpc(self) -> Record | None:
        """The environment's private network; None if there is none."""
        return self.named("/v2/vpcs", "vpcs").get(self.plan.network.name)

    @property
    def planned_clusters(self) -> list[tuple[ClusterPlan, str]]:
        """Every cluster of the environment with its engine at DigitalOcean."""
        plan = self.plan
        postgres = [*plan.data.postgres, *(cell.cluster for cell in plan.cells)]
        postgres += [tenant.cluster for tenant in plan.tenants if tenant.cluster]
        return [*((cluster, "pg") for cluster in postgres), (plan.data.valkey, "valkey")]

    @cached_property
    def spaces(self) -> Spaces:
        """The Spaces of the environment's region.

        Raises:
            NotSeenError: there is no key.
        """
        try:
            return Spaces.of(self.environ, self.plan.network.region, self.clock)
        except CannotTellError as error:
            raise NotSeenError(str(error).partition(";")[0], _NO_KEY) from None

    def read(self, bucket: str, key: str) -> bytes | None:
        """Return an object; None if there is none.

        Raises:
            NotSeenError: the key may not read it, or Spaces did not answer.
        """
        spaces = self.spaces
        try:
            return self.once(("object", bucket, key), lambda: spaces.read(bucket, key))
        except CannotTellError as error:
            raise NotSeenError(str(error), f"Use a key that may read {bucket} (docs/ci.md)") from None
        except TryAgainError as error:
            raise NotSeenError(str(error), "Try again") from None

    def manifest(self, bucket: str) -> Manifest | None:
        """Return what Terraform says it wrote for a group; None if it wrote nothing.

        Raises:
            NotSeenError: it cannot be read.
        """
        content = self.read(bucket, manifest_key(ENVIRONMENT_MANIFEST))
        try:
            return None if content is None else parse_manifest(content)
        except ContractError as error:
            raise NotSeenError(f"{bucket}: {error}", f"Deploy again: presence360 plan {self.name}") from None

    def reports(self) -> list[Report]:
        """Return what is known of every droplet.

        Raises:
            NotSeenError: a key is missing or does not suffice.
        """
        _ = self.spaces
        if not (self.environ.get("DIGITALOCEAN_TOKEN") or self.environ.get("DIGITALOCEAN_ACCESS_TOKEN")):
            raise NotSeenError("DIGITALOCEAN_TOKEN is not set", _WITHOUT)
        try:
            return self.once("reports", lambda: Fleet.of(self.plan, self.environ, self.clock).reports())
        except CannotTellError as error:
            raise NotSeenError(str(error), _SCOPES) from None
        except TryAgainError as error:
            raise NotSeenError(str(error), "Try again") from None
