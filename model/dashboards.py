"""The dashboards: which there are, what each is for, and which one an alert leads to.

cloud_init/dashboards draws them; the observability group's Grafana shows them (docs/dashboards.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from model.alerts import GROUPS
from model.environment import EnvironmentFile
from model.observability_file import image_reference
from model.tenancy import Status
from model.tenants import Tenant

PORT: Final = 3000
"""Loopback, on the observability droplet: Grafana, at its own default port."""

READER_PORT: Final = 8427
"""Loopback, on the same droplet: vmauth, at its own default port. It lets Grafana read the stores."""

GRAFANA_UID: Final = 59360
"""Grafana's user on the droplet, nobody else's: near the end of those that Debian gives to people, from 1000 on (Debian
Policy Manual, "UID and GID classes"), and below systemd's (61184 on: its "Users, Groups, UIDs and GIDs")."""

GRAFANA_MIB: Final = 512
"""What Grafana may use (Grafana documentation, "Install Grafana": 512 MB is the least that is recommended)."""

ADDRESS: Final = f"http://127.0.0.1:{PORT}"
"""On the machine of an administrator who has opened the tunnel."""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: of its file, and the end of its address.
        title: what it shows.
        about: what it is for, in a sentence.
        choice: the variable that an alert's link sets, and the label of the alert that says to what; None: it has none.
    """

    name: str
    title: str
    about: str
    choice: tuple[str, str] | None = None

    @property
    def uid(self) -> str:
        """Grafana's id of it: at most 40 letters, digits and hyphens (Grafana documentation, "Dashboard API")."""
        return f"presence360-{self.name}"

    @property
    def path(self) -> str:
        """Its address in Grafana."""
        return f"/d/{self.uid}"


OVERVIEW: Final = Dashboard(
    "overview",
    "Overview",
    "What is wrong now, and where to look next. Begin here: red is an alert's limit, and a click leads to more.",
)
TENANT_PLANE: Final = Dashboard(
    "tenant-plane",
    "Tenant Plane",
    "Requests, jobs and providers of the services that work for churches.",
    ("service", "service"),
)
CONTROL_PLANE: Final = Dashboard(
    "control-plane",
    "Control Plane",
    "Requests, containers and scheduled jobs of the services that work for operators.",
    ("service", "service"),
)
CHURCH: Final = Dashboard(
    "church",
    "One church",
    "Everything that is measured of one church: requests, connections, queues, dumps, migrations.",
)
DROPLETS: Final = Dashboard(
    "droplets",
    "Droplets",
    "CPU, memory, disks, network and containers of droplets.",
    ("droplet", "instance"),
)
DATA: Final = Dashboard(
    "data",
    "Postgres and Valkey",
    "Connections, pools, Valkey's memory and queues. DigitalOcean's control panel has the clusters' own CPU and disk.",
    ("cluster", "cluster"),
)
RELEASES: Final = Dashboard(
    "releases",
    "Releases and migrations",
    "What runs where, what waits or failed, and how far the databases' schemas are.",
)
SAFETY: Final = Dashboard(
    "safety",
    "Dumps and isolation",
    "Whether each church's data could be brought back, and whether churches are kept apart.",
)

DASHBOARDS: Final = (OVERVIEW, TENANT_PLANE, CONTROL_PLANE, CHURCH, DROPLETS, DATA, RELEASES, SAFETY)
"""In the order in which Grafana lists them as links."""

TRACES: Final = Dashboard(
    "traces",
    "Traces",
    "Where the time of a request went: the slow ones of a service, and one trace by the id of its request.",
)
"""Of traces, not of metrics: where the environment keeps some (docs/traces.md)."""

OF_ALERTS: Final[Mapping[str, Dashboard]] = {
    "Droplets": DROPLETS,
    "Programs and releases": RELEASES,
    "Requests": TENANT_PLANE,
    "Jobs": TENANT_PLANE,
    "Scheduled jobs and maintenance": CONTROL_PLANE,
    "Providers": TENANT_PLANE,
    "Connections": DATA,
    "Isolation": SAFETY,
    "Migrations": RELEASES,
    "Dumps": SAFETY,
    "Restore drill": SAFETY,
    "Valkey": DATA,
    "Names and certificates": OVERVIEW,
    "Observability itself": OVERVIEW,
}
"""By the heading of the alerts (model/alerts), what an alert's message leads to."""


@dataclass(frozen=True)
class DashboardsPlan:
    """What the dashboards of an environment are drawn with.

    Attributes:
        environment: its name.
        base_domain: its base domain.
        pages: where people read this repository's pages; None: panels name files.
        churches: ids by slug, of all that are not retired.
    """

    environment: str
    base_domain: str
    pages: str | None
    churches: Mapping[str, str]


@dataclass(frozen=True)
class GrafanaPlan:
    """Grafana on the observability droplet.

    Attributes:
        image: its reference, by digest.
        dashboards: what it shows.
        traces: whether the environment keeps traces, which it shows as well.
    """

    image: str
    dashboards: DashboardsPlan
    traces: bool = False


def plan_dashboards(file: EnvironmentFile, tenants: Sequence[Tenant]) -> DashboardsPlan:
    """Decide what an environment's dashboards are drawn with."""
    return DashboardsPlan(
        environment=file.environment,
        base_domain=file.base_domain,
        pages=file.observability.notify.pages if file.observability else None,
        churches={tenant.slug: tenant.id for tenant in tenants if tenant.status is not Status.RETIRED},
    )


def plan_grafana(file: EnvironmentFile, tenants: Sequence[Tenant]) -> GrafanaPlan | None:
    """Decide Grafana; None where the environment has none."""
    observability = file.observability
    wanted = observability.dashboards if observability else None
    if observability is None or wanted is None:
        return None
    image = image_reference(file.registry.url, wanted.image)
    return GrafanaPlan(image, plan_dashboards(file, tenants), traces=observability.traces is not None)


def of_alert(name: str) -> Dashboard:
    """Return the dashboard that an alert leads to."""
    return next(
        OF_ALERTS[heading] for heading, alerts in GROUPS.items() if name in {one.name for one in alerts}
    )
