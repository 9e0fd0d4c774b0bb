"""Alert policies, and the metric with the droplets that pass a load balancer's health checks."""

from lab.local_digitalocean import load_balancers
from lab.local_digitalocean.routes import Answer, Request, Routes, choice
from lab.local_digitalocean.store import Record

routes = Routes()

HEALTH = "/v2/monitoring/metrics/load_balancer/droplets_health_checks"
# DigitalOcean has a sample about every two minutes; one at the end of the range is enough here.
HEALTHY, ILL = "100", "0"

COMPARISONS, WINDOWS = ("GreaterThan", "LessThan"), ("5m", "10m", "30m", "1h")
ALERT_TYPES = frozenset(
    f"v1/insights/droplet/{name}"
    for name in (
        "cpu", "memory_utilization_percent", "disk_utilization_percent", "load_1", "load_5", "load_15", "disk_read",
        "disk_write", "public_outbound_bandwidth", "public_inbound_bandwidth", "private_outbound_bandwidth",
        "private_inbound_bandwidth",
    )
) | frozenset(
    f"v1/insights/lbaas/{name}"
    for name in (
        "avg_cpu_utilization_percent", "connection_utilization_percent", "droplet_health",
        "tls_connections_per_second_utilization_percent", "increase_in_http_error_rate_percentage_5xx",
        "increase_in_http_error_rate_percentage_4xx", "increase_in_http_error_rate_count_5xx",
        "increase_in_http_error_rate_count_4xx", "high_http_request_response_time",
        "high_http_request_response_time_50p", "high_http_request_response_time_95p",
        "high_http_request_response_time_99p",
    )
) | frozenset(
    f"v1/dbaas/alerts/{name}"
    for name in ("load_15_alerts", "memory_utilization_alerts", "disk_utilization_alerts", "cpu_alerts")
)  # fmt: skip


@routes.add("GET", HEALTH)
def _health(request: Request) -> Answer:
    """One series per droplet. The name of the label is not documented, so no reader may rely on it."""
    account = request.account
    balancer = account.get("load_balancers", request.query.get("lb_id"))
    end = int(request.query.get("end") or account.clock.now())
    series, well = [], []
    for droplet in load_balancers.droplets_behind(account, balancer):
        healthy = droplet["status"] == "active" and droplet.get("_healthy", False)
        metric = {"lb_id": balancer["id"], "droplet_id": str(droplet["id"])}
        well += [str(droplet["id"])] if healthy else []
        series.append({"metric": metric, "values": [[end, HEALTHY if healthy else ILL]]})
    request.notes["subject"] = ",".join(well)  # the log has the healthy droplets
    return 200, {"status": "success", "data": {"resultType": "matrix", "result": series}}


def _policy(request: Request) -> Record:
    request.need("type", "compare", "window", "alerts")
    body = request.body
    choice(body, "type", ALERT_TYPES)
    choice(body, "compare", COMPARISONS)
    choice(body, "window", WINDOWS)
    for tag in body.get("tags") or []:
        request.account.referred("tags", tag, f"tag {tag} not found")
    kept = ("type", "description", "compare", "window")
    return {
        **{key: body.get(key, "") for key in kept},
        "value": body.get("value", 0),
        "entities": body.get("entities") or [],
        "tags": body.get("tags") or [],
        "enabled": body.get("enabled", True),
        "alerts": {"email": body["alerts"].get("email") or [], "slack": body["alerts"].get("slack") or []},
    }


@routes.add("POST", "/v2/monitoring/alerts")
def _create_alert(request: Request) -> Answer:
    alert = {"uuid": request.account.uuid(), **_policy(request)}
    request.account.tables["alerts"][alert["uuid"]] = alert
    return 200, {"policy": alert}


ALERT = "/v2/monitoring/alerts/{alert_uuid}"
routes.lists("/v2/monitoring/alerts", "alerts", "policies")
routes.shows(ALERT, "alerts", "policy")
routes.updates(ALERT, "alerts", "policy", _policy)
routes.deletes(ALERT, "alerts")
