"""Whether the base domain is delegated to DigitalOcean, without which Let's Encrypt issues no certificate."""

from model.edge import NAME_SERVERS
from model.plan import EnvironmentPlan
from ops.name_servers import CannotAskError, Server, delegated, plain
from ops.preflight.finding import Checked


def check(plan: EnvironmentPlan, resolver: Server | None = None) -> Checked:
    """Ask for the name servers of the base domain; a delegation that is missing is a note, as it may be on its way."""
    domain = plan.edge.base_domain
    try:
        found = delegated(domain, resolver)
    except CannotAskError as error:
        return Checked(notes=(f"{plan.name}: the delegation of {domain} could not be checked: {error}",))
    wanted = plain(NAME_SERVERS)
    if found & wanted:
        return Checked()
    has = f"it has {', '.join(sorted(found))}" if found else "it has none"
    return Checked(
        notes=(
            f"{plan.name}: {domain} is not delegated to DigitalOcean ({has}): no certificate is issued until its name "
            f"servers are {', '.join(sorted(wanted))} (README.md, First deploy)",
        )
    )
