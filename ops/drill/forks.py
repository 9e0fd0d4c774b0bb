"""The fork at DigitalOcean: found by its marks alone, and destroyed. Nothing else is touched.

What is destroyed has the drill's name, and carries the drill's tag, and is in the drill's project: each of the three by
itself may be on something else by mistake.
"""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self

from model.contract import instant
from model.restore_drill import RestoreDrillPlan
from ops.api_client import ADDRESS, ApiError, Client, read
from ops.errors import OperationError
from ops.waiting import SYSTEM_CLOCK, Clock

DEFAULT_CLUSTERS = 10
"""Of an account, where its file states no other limit (DigitalOcean documentation, "Managed Databases: Limits")."""

SECONDS, POLL_SECONDS, GONE_SECONDS = 60, 5.0, 600


@dataclass(frozen=True)
class Forks:
    """The account, as a drill uses it.

    Attributes:
        plan: the drill's.
        client: reads.
        environ: has the address and the token.
        clock: the clock.
    """

    plan: RestoreDrillPlan
    client: Client
    environ: Mapping[str, str]
    clock: Clock = SYSTEM_CLOCK

    @classmethod
    def of(cls, plan: RestoreDrillPlan, environ: Mapping[str, str]) -> Self:
        """Take address and token from the variables that the provider reads.

        Raises:
            OperationError: the address is none.
        """
        try:
            return cls(plan, Client.of(environ), environ)
        except ApiError as error:
            raise OperationError(str(error)) from None

    def clusters(self) -> list[dict[str, Any]]:
        """Return all clusters of the account."""
        return self._asked(lambda: self.client.all("/v2/databases", "databases"))

    def check_room(self, limit: int | None) -> int:
        """Return how many clusters the account has; a drill needs one more.

        Raises:
            OperationError: there is no room.
        """
        allowed, now = limit or DEFAULT_CLUSTERS, len(self.clusters())
        if now >= allowed:
            raise OperationError(
                f"the account may have {allowed} database clusters and has {now}: there is no room for a fork. Ask "
                "DigitalOcean for more (control panel, Resource Limits), and write `account.clusters`"
            )
        return now

    def backup_of(self, cluster: str) -> datetime:
        """Return the time of a cluster's newest backup.

        Raises:
            OperationError: there is no such cluster, or no backup of it.
        """
        found = [one for one in self.clusters() if one["name"] == cluster]
        if not found:
            raise OperationError(f"there is no cluster {cluster} in this account")
        path = f"/v2/databases/{found[0]['id']}/backups"
        backups = self._asked(lambda: self.client.all(path, "backups"))
        try:
            times = [instant(one["created_at"]) for one in backups]
        except (KeyError, TypeError, ValueError):
            raise OperationError(f"the API names no time of a backup of {cluster}") from None
        if not times:
            raise OperationError(f"DigitalOcean has no backup of {cluster} yet: it makes one each day")
        return max(times)

    def users(self) -> dict[str, str]:
        """Return the passwords of the fork's users, by name.

        Raises:
            OperationError: there is no fork, or the token may not read passwords.
        """
        found = self.found()
        if not found:
            raise OperationError(f"{self.plan.name} is not there")
        path = f"/v2/databases/{found[0]['id']}/users"
        users = {
            one["name"]: str(one.get("password") or "")
            for one in self._asked(lambda: self.client.all(path, "users"))
        }
        if not any(users.values()):
            raise OperationError(
                "the API names no passwords: the token needs the scope database:view_credentials"
            )
        return users

    def found(self) -> list[dict[str, Any]]:
        """Return the forks that are there: by name, by tag and by project, all three."""
        name = self.plan.name
        marked = [one for one in self.clusters() if one["name"] == name and name in (one.get("tags") or [])]
        if not marked:
            return []
        own = {one["id"] for one in self._projects()}
        inside = {
            one["urn"].rpartition(":")[2]
            for project in own
            for one in self._asked(lambda: self.client.all(f"/v2/projects/{project}/resources", "resources"))  # noqa: B023  (asked at once)
        }
        return [one for one in marked if one["id"] in inside or one.get("project_id") in own]

    def destroy(self, say: Callable[[str], None], keep: Callable[[], None] = lambda: None) -> int:
        """Destroy every fork that is there, and wait until none is; return how many there were.

        Args:
            say: takes a line about what happens.
            keep: raises where what was found may be another run's.

        Raises:
            OperationError: one is still there, or may be another's.
        """
        # First the clusters, then whose they are: one that is made after that has another id.
        found = self.found()
        for one in found:
            keep()
            say(f"destroying the cluster {one['name']} ({one['id']})")
            self._delete(f"/v2/databases/{one['id']}")
        until = self.clock.now() + GONE_SECONDS
        while found and self.found():
            if self.clock.now() > until:
                raise OperationError(
                    f"{self.plan.name} is still there: destroy it in the control panel; it costs money as long as it is"
                )
            self.clock.sleep(POLL_SECONDS)
            keep()
        return len(found)

    def sweep(self, keep: Callable[[], None] = lambda: None) -> None:
        """Delete the drill's project and tag, with nothing in them.

        Terraform deletes both, if it knows them: of a program that was killed, it may not have heard. Names of projects
        are taken once in an account, so the next drill could not begin.

        Args:
            keep: raises where what was found may be another run's.

        Raises:
            OperationError: the API does not answer, or refuses, or it may be another's.
        """
        for one in self._projects():
            if not self._asked(
                lambda: self.client.all(f"/v2/projects/{one['id']}/resources", "resources")  # noqa: B023  (asked at once)
            ):
                keep()
                self._delete(f"/v2/projects/{one['id']}")
        tags = self._asked(lambda: self.client.all("/v2/tags", "tags"))
        for one in tags:
            if one["name"] == self.plan.name and not (one.get("resources") or {}).get("count"):
                keep()
                self._delete(f"/v2/tags/{self.plan.name}")

    def _projects(self) -> list[dict[str, Any]]:
        projects = self._asked(lambda: self.client.all("/v2/projects", "projects"))
        return [one for one in projects if one["name"] == self.plan.project.name]

    def _delete(self, path: str) -> None:
        token = self.environ.get("DIGITALOCEAN_TOKEN") or self.environ.get("DIGITALOCEAN_ACCESS_TOKEN") or ""
        address = (self.environ.get("DIGITALOCEAN_API_URL") or ADDRESS).rstrip("/") + path
        request = urllib.request.Request(  # noqa: S310  (the client has checked the address)
            address, headers={"Authorization": f"Bearer {token}"}, method="DELETE"
        )
        try:
            read(request, SECONDS)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise OperationError(
                    f"the API answered {error.code} to the destruction of {self.plan.name}"
                ) from None
        except OSError as error:
            raise OperationError(f"the API did not answer: {error}") from None

    def _asked(self, question: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        try:
            return question()
        except ApiError as error:
            raise OperationError(str(error)) from None
