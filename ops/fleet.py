"""How an environment's droplets are, by what each says of itself (docs/status.md).

Which droplets there are, DigitalOcean's API says: the object of a droplet that is gone stays for days, and a droplet
that never said anything has none.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from model.contract import ContractError
from model.plan import EnvironmentPlan
from model.runs import JobRecord, parse_record, record_key
from model.scheduled_jobs import ScheduledJobPlan
from model.status import (
    ENVIRONMENT_MANIFEST,
    DropletStatus,
    Manifest,
    manifest_key,
    parse_manifest,
    parse_status,
    status_key,
)
from ops.digitalocean import Api, Droplet, Spaces
from ops.migrations import Migrations
from ops.waiting import SYSTEM_CLOCK, Clock, TryAgainError

# Objects are small, and their answers take their time to come: tens of droplets are read within a second.
READERS = 8


@dataclass(frozen=True)
class Report:
    """What is known of one droplet.

    Attributes:
        group: its group.
        droplet: as the API describes it.
        status: what it said last; None if it said nothing that can be read.
    """

    group: str
    droplet: Droplet
    status: DropletStatus | None

    def silence(self, now: datetime) -> str | None:
        """Return why nothing is known of the present; None if the droplet says how it is."""
        state = "" if self.droplet.status == "active" else f"it is {self.droplet.status}"
        if self.status is None:
            return state or "it has not said yet how it is"
        if not self.status.fresh(now):
            last = f"silent since {self.status.time:%Y-%m-%d %H:%M} UTC, when it was {self.status.phase}"
            return f"{state}; {last}" if state else last
        return None


@dataclass(frozen=True)
class Group:
    """One group of droplets: where it is found, and where it is written about.

    Attributes:
        name: the operators' name for it.
        tag: the tag of its droplets.
        config_bucket: holds the manifest.
        status_bucket: holds the droplets' statuses.
        jobs: what its droplets run at certain times.
    """

    name: str
    tag: str
    config_bucket: str
    status_bucket: str
    jobs: tuple[ScheduledJobPlan, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """The droplets of an environment.

    Attributes:
        environment: its name.
        groups: its groups, in the order of the operators' file.
        api: DigitalOcean's API.
        spaces: the Spaces of the environment's region.
        clock: the clock.
        migrations: what the control group says of migrations; None if there are none.
    """

    environment: str
    groups: tuple[Group, ...]
    api: Api
    spaces: Spaces
    clock: Clock
    migrations: Migrations | None = None

    @classmethod
    def of(cls, plan: EnvironmentPlan, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return an environment's fleet, read with the keys in these variables.

        Raises:
            CannotTellError: a key is missing.
        """
        groups = tuple(
            Group(
                name=group.group,
                tag=plan.network.group_tags[group.group],
                config_bucket=group.config.bucket,
                status_bucket=group.config.status_bucket,
                jobs=group.jobs,
            )
            for group in plan.groups
        )
        spaces = Spaces.of(environ, plan.network.region, clock)
        return cls(plan.name, groups, Api.of(environ), spaces, clock, Migrations.of(plan, spaces))

    def reports(self) -> list[Report]:
        """Return what is known of every droplet, group by group, by name.

        Raises:
            CannotTellError: a key does not suffice.
            TryAgainError: DigitalOcean did not answer.
        """
        found = [(group, droplet) for group in self.groups for droplet in self.api.tagged(group.tag)]
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(lambda one: self._report(*one), found))

    def jobs(self) -> list[tuple[ScheduledJobPlan, JobRecord | None]]:
        """Return every scheduled job with what became of it last; None if no droplet has looked at it yet.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer.
        """
        return [(job, self._record(group, job)) for group in self.groups for job in group.jobs]

    def manifests(self) -> Iterator[tuple[Group, Manifest | None]]:
        """Yield what each group's bucket asks its droplets to run; None where Terraform has not written it.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer, or with something else.
        """
        for group in self.groups:
            content = self.spaces.read(group.config_bucket, manifest_key(ENVIRONMENT_MANIFEST))
            try:
                yield group, None if content is None else parse_manifest(content)
            except ContractError as error:
                raise TryAgainError(f"{group.config_bucket}: {error}") from None

    def _record(self, group: Group, job: ScheduledJobPlan) -> JobRecord | None:
        content = self.spaces.read(group.status_bucket, record_key(job.name))
        try:
            return None if content is None else parse_record(content)
        except ContractError:
            return None

    def _report(self, group: Group, droplet: Droplet) -> Report:
        content = self.spaces.read(group.status_bucket, status_key(droplet.id))
        try:
            status = None if content is None else parse_status(content, droplet.id)
        except ContractError:
            # A droplet that writes something else is as good as one that writes nothing.
            status = None
        return Report(group.name, droplet, status)
