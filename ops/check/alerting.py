"""Metrics and alerts: configured at DigitalOcean, and the last test alert accepted."""

from collections.abc import Iterator, Mapping

from model.access import HEALTH_PATH
from model.alert_receipt import VALID_DAYS
from model.outside_alerts import DOWN, RESOURCE_ALERTS, UPTIME_ALERTS, Kind, ResourceAlert, UptimeAlert
from model.services import WATCHDOG_PATH
from ops.alert_test import AlertTest
from ops.check.finding import Finding, NotSeenError, bad, good
from ops.check.look import Look, Record
from ops.errors import OperationError, UsageError
from ops.waiting import CannotTellError, TryAgainError

_NONE = "Add `observability:` to environment.yaml (docs/observability.md)"


def resource_alerts(look: Look) -> Iterator[Finding]:
    """DigitalOcean's own alerts on droplets, load balancers and clusters are there, on, and watch all of them."""
    if look.plan.observability is None:
        yield bad("nobody is told of anything", _NONE)
        return
    policies = look.all("/v2/monitoring/alerts", "policies")
    deploy = f"Deploy: presence360 plan {look.name}"
    for alert in RESOURCE_ALERTS:
        own = [
            one
            for one in policies
            if one["type"] == alert.measure and str(one.get("description", "")).startswith(f"{look.name}: ")
        ]
        if problem := _problem(look, alert, own):
            yield bad(f"the alert {alert.key} {problem}", deploy)
    yield good(f"{len(RESOURCE_ALERTS)} alerts on droplets, load balancers and clusters are on")


def _problem(look: Look, alert: ResourceAlert, own: list[Record]) -> str:
    if not own:
        return "is not there"
    active = [one for one in own if one.get("enabled")]
    if not active:
        return "is off"
    limit = (alert.above, "GreaterThan", alert.window)
    if any((float(one["value"]), one["compare"], one["window"]) != limit for one in active):
        return f"has another limit than above {alert.above:g} over {alert.window}"
    if not all(_tells(one.get("alerts")) for one in active):
        return "tells nobody"
    if alert.kind is Kind.DROPLETS:
        tag = look.plan.network.environment_tag
        return (
            "" if any(tag in (one.get("tags") or ()) for one in active) else f"does not watch the tag {tag}"
        )
    watched = {str(entity) for one in active for entity in one.get("entities") or ()}
    missing = [name for name, one in _watched(look, alert.kind).items() if str(one["id"]) not in watched]
    return f"does not watch {', '.join(missing)}" if missing else ""


def _watched(look: Look, kind: Kind) -> Mapping[str, Record]:
    if kind is Kind.LOAD_BALANCERS:
        wanted = {one.name for one in look.plan.edge.load_balancers}
        return {name: one for name, one in look.balancers.items() if name in wanted}
    clusters = {cluster.name for cluster, _ in look.planned_clusters}
    return {name: one for name, one in look.clusters.items() if name in clusters}


def uptime(look: Look) -> Iterator[Finding]:
    """Each public name, the canary's and the watchdog are asked from outside, with alerts."""
    plan = look.plan.observability
    if plan is None:
        yield bad("nobody is told of anything", _NONE)
        return
    there = look.named("/v2/uptime/checks", "checks")
    deploy = f"Deploy: presence360 plan {look.name}"
    wanted = {name: (f"https://{host}{HEALTH_PATH}", UPTIME_ALERTS) for name, host in plan.uptime.values()}
    name, host = plan.watchdog
    wanted[name] = (f"https://{host}{WATCHDOG_PATH}", (DOWN,))
    for name, (target, alerts) in wanted.items():
        found = there.get(name)
        if found is None:
            yield bad(f"there is no uptime check {name}", deploy)
        elif found["target"] != target:
            yield bad(f"the uptime check {name} asks {found['target']}, and not {target}", deploy)
        elif not found.get("enabled"):
            yield bad(f"the uptime check {name} is off", deploy)
        else:
            there_are = look.all(f"/v2/uptime/checks/{found['id']}/alerts", "alerts")
            for alert in alerts:
                if problem := _uptime_problem(alert, [one for one in there_are if one["type"] == alert.type]):
                    yield bad(f"the uptime check {name} {problem}", deploy)
    yield good(f"{len(wanted)} uptime checks with alerts are on")


def _uptime_problem(alert: UptimeAlert, own: list[Record]) -> str:
    if not own:
        return f"has no alert of type {alert.type}"
    # The API knows neither for this type, and may show none (model/outside_alerts.py).
    limited = alert.type != DOWN.type
    right = [
        one
        for one in own
        if not limited or (one.get("threshold"), one.get("comparison")) == (alert.threshold, alert.comparison)
    ]
    if not right:
        return (
            f"has an alert of type {alert.type} with another limit than {alert.comparison} {alert.threshold}"
        )
    right = [one for one in right if one.get("period") == alert.period]
    if not right:
        return f"has an alert of type {alert.type} over another time than {alert.period}"
    if not any(_tells(one.get("notifications")) for one in right):
        return f"has an alert of type {alert.type} that tells nobody"
    return ""


def _tells(told: Record | None) -> bool:
    return bool((told or {}).get("email") or (told or {}).get("slack"))


def _ways(look: Look) -> set[str]:
    """Return by which ways people are told now."""
    notify = look.plan.observability and look.plan.observability.notify
    return {*notify.critical, *notify.warning} if notify else set()


def receipt(look: Look) -> Iterator[Finding]:
    """The last test alert was accepted by every way, within 30 days."""
    ask = f"presence360 alerts test {look.name}"
    _ = look.spaces
    try:
        found = AlertTest.of(look.plan, look.environ, look.clock).receipt()
    except UsageError as error:
        yield bad("nobody is told of anything", "; ".join(error.problems))
        return
    except (CannotTellError, TryAgainError, OperationError) as error:
        raise NotSeenError(str(error), "Use a key that may read the status buckets (docs/ci.md)") from None
    if found is None:
        yield bad("no test alert was ever sent", ask)
    elif not found.accepted_all:
        refused = [way for way, accepted in found.ways.items() if not accepted]
        yield bad(
            f"the test alert of {found.time:%Y-%m-%d} was not accepted by {', '.join(refused)}: {found.reason}",
            ask,
        )
    elif missing := sorted(_ways(look) - set(found.ways)):
        yield bad(
            f"the test alert of {found.time:%Y-%m-%d} did not go by {', '.join(missing)}, by which people are told now",
            ask,
        )
    elif not found.valid(look.clock.time()):
        yield bad(f"the last test alert is of {found.time:%Y-%m-%d}, more than {VALID_DAYS} days ago", ask)
    else:
        yield good(
            f"{', '.join(found.ways)} accepted the test alert of {found.time:%Y-%m-%d}, asked for by {found.by}"
        )
