"""The schemas of an environment's databases, by what its control group says; and the request for another try."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from model.contract import ContractError
from model.loader import Environment
from model.migration_status import (
    DETAILS_KEY,
    SUMMARY_KEY,
    DatabaseStatus,
    Summary,
    parse_details,
    parse_summary,
    retry_key,
    tenant_of,
)
from model.naming import CONTROL_PLANE_DATABASE, tenant_database
from model.plan import EnvironmentPlan
from ops.digitalocean import Spaces
from ops.waiting import TryAgainError


@dataclass(frozen=True)
class Migrations:
    """Where an environment's control group speaks of migrations, and listens.

    Attributes:
        environment: its name.
        status_bucket: the control group's.
        config_bucket: the control group's.
        slugs: by tenant id, what people call the tenant.
        spaces: the Spaces of the environment's region.
    """

    environment: str
    status_bucket: str
    config_bucket: str
    slugs: Mapping[str, str]
    spaces: Spaces

    @classmethod
    def of(cls, plan: EnvironmentPlan, spaces: Spaces) -> Self | None:
        """Return an environment's; None if its file asks for no migrations."""
        for group in plan.groups:
            if group.isolation and group.migrations:
                return cls(
                    environment=plan.name,
                    status_bucket=group.config.status_bucket,
                    config_bucket=group.config.bucket,
                    slugs={tenant.id: tenant.slug for tenant in plan.tenants},
                    spaces=spaces,
                )
        return None

    def summary(self) -> Summary | None:
        """Return how far the release is; None if nothing was said yet.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer, or with something else.
        """
        content = self.spaces.read(self.status_bucket, SUMMARY_KEY)
        try:
            return None if content is None else parse_summary(content)
        except ContractError as error:
            raise TryAgainError(f"{self.status_bucket}: {error}") from None

    def databases(self) -> tuple[DatabaseStatus, ...]:
        """Return what is known of every database.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer, or with something else.
        """
        content = self.spaces.read(self.status_bucket, DETAILS_KEY)
        try:
            return () if content is None else parse_details(content)
        except ContractError as error:
            raise TryAgainError(f"{self.status_bucket}: {error}") from None

    def retry(self, databases: Sequence[str], at: str) -> None:
        """Ask the control group to try some databases again at once.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer.
        """
        request = json.dumps({"time": at, "databases": sorted(databases)}).encode()
        self.spaces.write(self.config_bucket, retry_key(secrets.token_hex(8)), request)

    def name(self, database: str) -> str:
        """Return what people call a database: the church's slug."""
        tenant = tenant_of(database)
        return database if tenant is None else self.slugs.get(tenant, database)

    def failures(self) -> list[str]:
        """Return a line for each database that failed.

        Raises:
            CannotTellError: the key does not suffice.
            TryAgainError: Spaces did not answer, or with something else.
        """
        failed = [one for one in self.databases() if one.result == "failed"]
        return [f"{self.name(one.database)}: {one.reason} ({one.tries}. try)" for one in failed]


def database_named(environment: Environment, wanted: str) -> str | None:
    """Return the database of a church, by slug or id, or of the control plane; None if there is none."""
    if wanted == CONTROL_PLANE_DATABASE:
        return wanted
    found = (tenant.database_key for tenant in environment.tenants if wanted in {tenant.slug, tenant.id})
    key = next(found, None)
    return key and tenant_database(key)
