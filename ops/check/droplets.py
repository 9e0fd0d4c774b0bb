"""The droplets: as many as decided, in the private network, with their tags, running what was deployed."""

from collections.abc import Iterator

from model.droplets import DropletGroupPlan
from model.status import Result
from ops.check.finding import Finding, bad, good, soon
from ops.check.look import Look, Record


def droplets(look: Look) -> Iterator[Finding]:
    """Each group has its droplets, active, in the private network, with the tags that firewalls go by."""
    deploy = f"Deploy: presence360 plan {look.name}"
    vpc = (look.vpc or {}).get("id")
    network = look.plan.network
    known: set[int] = set()
    for group in look.plan.groups:
        own = [one for one in look.droplets if network.group_tags[group.group] in one["tags"]]
        known |= {int(one["id"]) for one in own}
        least, most = _numbers(group)
        if len(own) < least:
            yield bad(f"{group.group} has {len(own)} droplets, and not {least}", deploy)
        elif len(own) > most:
            yield soon(
                f"{group.group} has {len(own)} droplets, and not {most}",
                "While droplets are replaced that is so; otherwise an interrupted deploy left one: delete it",
            )
        tags = {
            network.environment_tag,
            network.group_tags[group.group],
            *(network.plane_tags[plane] for plane in group.placement.planes),
        }
        for one in own:
            yield from _of_droplet(one, group, tags, vpc, deploy)
        yield good(f"{group.group}: {len(own)} active, in {network.name}")
    for one in look.droplets:
        if int(one["id"]) not in known:
            yield bad(
                f"{one['name']} carries a tag of {look.name} and is in no group",
                "Remove the tag, or the droplet",
            )


def _of_droplet(
    one: Record, group: DropletGroupPlan, tags: set[str], vpc: object, deploy: str
) -> Iterator[Finding]:
    name = str(one["name"])
    if one["status"] != "active":
        yield bad(f"{name} is {one['status']}", "Start it in the control panel, or replace it")
    if vpc is None or one.get("vpc_uuid") != vpc:
        yield bad(f"{name} is not in the environment's private network", deploy)
    if missing := sorted(tags - set(one["tags"])):
        yield bad(f"{name} lacks the tag {', '.join(missing)}: no firewall that goes by it covers it", deploy)
    # Those of a pool are DigitalOcean's to make. What goes by a tag is in the line of firewalls, whose tag it is.
    more = sorted(set(one["tags"]) - tags)
    if more and not group.autoscale:
        yield soon(
            f"{name} has tags that nobody decided on: {', '.join(more)}", "Remove them in the control panel"
        )
    if one.get("size_slug") not in {None, group.size}:
        yield soon(f"{name} has the size {one.get('size_slug')}, and not {group.size}", deploy)


def _numbers(group: DropletGroupPlan) -> tuple[int, int]:
    if group.autoscale:
        return group.autoscale.minimum, group.autoscale.maximum
    return len(group.droplet_names), len(group.droplet_names)


def releases(look: Look) -> Iterator[Finding]:
    """Each droplet says that Docker runs the release that was deployed, all services healthy."""
    shown = f"presence360 status {look.name}"
    groups = {group.group: group for group in look.plan.groups}
    now = look.clock.time()
    reports = look.reports()
    for report in reports:
        name, status = report.droplet.name, report.status
        if status is None or report.silence(now):
            yield bad(f"{name}: {report.silence(now)}", shown)
            continue
        wanted = look.manifest(groups[report.group].config.bucket)
        if wanted is None:
            yield bad(f"{report.group}: nothing was deployed", f"Deploy: presence360 plan {look.name}")
        elif status.result is Result.FAILED:
            yield bad(f"{name}: {status.phase}: {status.reason}", shown)
        elif status.result is Result.PENDING:
            yield soon(f"{name}: {status.phase}: {status.reason}", f"{shown} --watch")
        elif (status.release, status.programs) != (wanted.release, wanted.programs):
            yield bad(f"{name} runs {status.release}, and {wanted.release} was deployed", shown)
        else:
            yield good(f"{name} runs {str(status.release)[:12]}")
    for name in sorted(groups.keys() - {report.group for report in reports}):
        yield bad(f"no droplet of {name} is there to say anything", shown)
