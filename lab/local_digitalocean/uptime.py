"""Uptime checks and their alerts."""

from lab.local_digitalocean.errors import unprocessable
from lab.local_digitalocean.routes import Answer, Request, Routes, choice
from lab.local_digitalocean.store import Record, public

routes = Routes()

# OpenAPI document, schemas "check" and "alert"; two regions unless some are asked for.
REGIONS = ("us_east", "us_west", "eu_west", "se_asia")
USUAL_REGIONS = 2
PERIODS = ("2m", "3m", "5m", "10m", "15m", "30m", "1h")

CHECK = "/v2/uptime/checks/{check_id}"
routes.lists("/v2/uptime/checks", "checks", "checks")
routes.shows(CHECK, "checks", "check")


def _check_fields(request: Request) -> Record:
    request.need("name", "type", "target")
    choice(request.body, "type", ("ping", "http", "https"))
    for region in request.body.get("regions") or []:
        if region not in REGIONS:
            raise unprocessable(f"region is invalid: {region}")
    return {
        **{key: request.body[key] for key in ("name", "type", "target")},
        "regions": request.body.get("regions") or list(REGIONS[:USUAL_REGIONS]),
        "enabled": request.body.get("enabled", True),
    }


routes.updates(CHECK, "checks", "check", _check_fields)


@routes.add("POST", "/v2/uptime/checks")
def _create_check(request: Request) -> Answer:
    check = {"id": request.account.uuid(), **_check_fields(request)}
    request.account.tables["checks"][check["id"]] = check
    return 201, {"check": check}


@routes.add("DELETE", CHECK)
def _delete_check(request: Request) -> Answer:
    account = request.account
    check = account.get("checks", request.parts["check_id"])
    del account.tables["checks"][check["id"]]
    for alert in account.all("check_alerts"):
        if alert["_check"] == check["id"]:
            del account.tables["check_alerts"][alert["id"]]
    return 204, None


@routes.add("GET", CHECK + "/alerts")
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


@routes.add("POST", CHECK + "/alerts")
def _create_check_alert(request: Request) -> Answer:
    check = request.account.get("checks", request.parts["check_id"])
    alert = {"id": request.account.uuid(), **_check_alert_fields(request), "_check": check["id"]}
    request.account.tables["check_alerts"][alert["id"]] = alert
    return 201, {"alert": public(alert)}


ALERT = CHECK + "/alerts/{alert_id}"
routes.shows(ALERT, "check_alerts", "alert")
routes.updates(ALERT, "check_alerts", "alert", _check_alert_fields)
routes.deletes(ALERT, "check_alerts")
