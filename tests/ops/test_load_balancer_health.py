"""What a load balancer's metric says of a droplet."""

from typing import Any

import pytest

from ops.digitalocean import Droplet
from ops.load_balancer_health import missing_health

# The API's document does not say which label of the metric names the droplet, so each of these has to do.
LABELS = {
    "name": "{name}",
    "id": "droplet-{id}",
    "address": "{address}:443",
}


def series(label: str, droplet: str, name: str, address: str, *samples: list[object]) -> dict[str, Any]:
    text = LABELS[label].format(id=droplet, name=name, address=address)
    return {"metric": {"lb_id": "4de7ac8b", "server": text}, "values": list(samples)}


NEW = Droplet("101", "app-1", "active", ("10.60.0.101",))
MINE = ("101", "app-1", "10.60.0.101")


@pytest.mark.parametrize("label", LABELS)
def test_a_droplet_is_known_by_its_name_its_id_or_its_address(label: str) -> None:
    assert missing_health([series(label, *MINE, [1, "100"])], NEW) is None


@pytest.mark.parametrize("label", LABELS)
def test_another_droplets_health_is_not_taken_for_its_own(label: str) -> None:
    """Names, ids and addresses that begin alike: 101 and 1010, app-1 and app-1-bbbbbb."""
    others = ("1010", "app-1-bbbbbb", "10.60.0.1010")
    state = missing_health([series(label, *others, [1, "100"])], NEW)
    assert state is not None
    assert state.startswith("the load balancer does not know it yet")
    state = missing_health([series(label, *others, [1, "100"]), series(label, *MINE, [1, "0"])], NEW)
    assert state == "it fails its health checks (last result 0)"


@pytest.mark.parametrize(
    ("samples", "healthy"),
    [
        ([[3, "0"], [1, "100"], [2, "100"]], False),
        ([[3, "100"], [1, "0"], [2, "0"]], True),
        ([[3, "1"]], True),
        ([[3, "50"]], False),  # one of the load balancer's two nodes
        ([], False),
    ],
)
def test_the_last_sample_decides(samples: list[list[object]], healthy: bool) -> None:
    assert (missing_health([series("name", *MINE, *samples)], NEW) is None) == healthy
