"""Alerts, uptime checks, and the metric by which a load balancer calls droplets healthy."""

from tools.local_digitalocean import edge
from tools.local_digitalocean.errors import unprocessable
from tools.local_digitalocean.routes import Answer, Request, Routes, choice
from tools.local_digitalocean.store import Record, public

routes = Routes()

HEALTH = "/v2/monitoring/metrics/load_balancer/droplets_health_checks"
# Samples come about every two minutes; here, one at the end of what is asked for is enough.
HEALTHY, ILL = "100", "0"
MOST_NAMES = 2

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
REGIONS = ("us_east", "us_west", "eu_west", "se_asia")
PERIODS = ("2m", "3m", "5m", "10m", "15m", "30m", "1h")


@routes.add("GET", HEALTH)
def _health(request: Request) -> Answer:
    """One series a droplet; the label's name is not documented, and whoever reads it must not rely on it."""
    account = request.account
    balancer = account.get("load_balancers", request.query.get("lb_id"))
    end = int(request.query.get("end") or account.clock.now())
    series = []
    for droplet in edge.droplets_behind(account, balancer):
        healthy = droplet["status"] == "active" and droplet.get("_healthy", False)
        metric = {"lb_id": balancer["id"], "droplet_id": str(droplet["id"])}
        series.append({"metric": metric, "values": [[end, HEALTHY if healthy else ILL]]})
    return 200, {"status": "success", "data": {"resultType": "matrix", "result": series}}


@routes.add("GET", "/v2/monitoring/alerts")
def _list_alerts(request: Request) -> Answer:
    return 200, request.page("policies", request.account.all("alerts"))


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


@routes.add("GET", "/v2/monitoring/alerts/{alert_uuid}")
def _get_alert(request: Request) -> Answer:
    return 200, {"policy": request.account.get("alerts", request.parts["alert_uuid"])}


@routes.add("PUT", "/v2/monitoring/alerts/{alert_uuid}")
def _update_alert(request: Request) -> Answer:
    alert = request.account.get("alerts", request.parts["alert_uuid"])
    alert.update(_policy(request))
    return 200, {"policy": alert}


@routes.add("DELETE", "/v2/monitoring/alerts/{alert_uuid}")
def _delete_alert(request: Request) -> Answer:
    alert = request.account.get("alerts", request.parts["alert_uuid"])
    del request.account.tables["alerts"][alert["uuid"]]
    return 204, None


@routes.add("GET", "/v2/uptime/checks")
def _list_checks(request: Request) -> Answer:
    return 200, request.page("checks", request.account.all("checks"))


def _check_fields(request: Request) -> Record:
    request.need("name", "type", "target")
    choice(request.body, "type", ("ping", "http", "https"))
    for region in request.body.get("regions") or []:
        if region not in REGIONS:
            raise unprocessable(f"region is invalid: {region}")
    return {
        **{key: request.body[key] for key in ("name", "type", "target")},
        "regions": request.body.get("regions") or list(REGIONS[:MOST_NAMES]),
        "enabled": request.body.get("enabled", True),
    }


@routes.add("POST", "/v2/uptime/checks")
def _create_check(request: Request) -> Answer:
    check = {"id": request.account.uuid(), **_check_fields(request)}
    request.account.tables["checks"][check["id"]] = check
    return 201, {"check": check}


@routes.add("GET", "/v2/uptime/checks/{check_id}")
def _get_check(request: Request) -> Answer:
    return 200, {"check": request.account.get("checks", request.parts["check_id"])}


@routes.add("PUT", "/v2/uptime/checks/{check_id}")
def _update_check(request: Request) -> Answer:
    check = request.account.get("checks", request.parts["check_id"])
    check.update(_check_fields(request))
    return 200, {"check": check}


@routes.add("DELETE", "/v2/uptime/checks/{check_id}")
def _delete_check(request: Request) -> Answer:
    account = request.account
    check = account.get("checks", request.parts["check_id"])
    del account.tables["checks"][check["id"]]
    for alert in account.all("check_alerts"):
        if alert["_check"] == check["id"]:
            del account.tables["check_alerts"][alert["id"]]
    return 204, None


@routes.add("GET", "/v2/uptime/checks/{check_id}/alerts")
def _list_check_alerts(request: Request) -> Answer:
    check = request.account.get("checks", request.parts["check_id"])
    found = [one for one in request.account.all("check_alerts") if one["_check"] == check["id"]]
    return 200, request.page("alerts", found)


def _check_alert_fields(request: Request) -> Record:
    request.need("name", "type", "notifications")
    choice(request.body, "type", ("latency", "down", "down_global", "ssl_expiry"))
    choice(request.body, "comparison", ("greater_than", "less_than"))
    choice(request.body, "period", PERIODS)
    notifications = request.body["notifications"]
    kept = ("threshold", "comparison", "period")
    return {
        **{key: request.body[key] for key in ("name", "type")},
        **{key: request.body[key] for key in kept if request.body.get(key) not in (None, "")},
        "notifications": {
            "email": notifications.get("email") or [],
            "slack": notifications.get("slack") or [],
        },
    }


@routes.add("POST", "/v2/uptime/checks/{check_id}/alerts")
def _create_check_alert(request: Request) -> Answer:
    check = request.account.get("checks", request.parts["check_id"])
    alert = {"id": request.account.uuid(), **_check_alert_fields(request), "_check": check["id"]}
    request.account.tables["check_alerts"][alert["id"]] = alert
    return 201, {"alert": public(alert)}


@routes.add("GET", "/v2/uptime/checks/{check_id}/alerts/{alert_id}")
def _get_check_alert(request: Request) -> Answer:
    request.account.get("checks", request.parts["check_id"])
    return 200, {"alert": public(request.account.get("check_alerts", request.parts["alert_id"]))}


@routes.add("PUT", "/v2/uptime/checks/{check_id}/alerts/{alert_id}")
def _update_check_alert(request: Request) -> Answer:
    request.account.get("checks", request.parts["check_id"])
    alert = request.account.get("check_alerts", request.parts["alert_id"])
    alert.update(_check_alert_fields(request))
    return 200, {"alert": public(alert)}


@routes.add("DELETE", "/v2/uptime/checks/{check_id}/alerts/{alert_id}")
def _delete_check_alert(request: Request) -> Answer:
    alert = request.account.get("check_alerts", request.parts["alert_id"])
    del request.account.tables["check_alerts"][alert["id"]]
    return 204, None
