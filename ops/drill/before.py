"""What is decided and said before a drill makes anything: which cluster, what it costs, and whether the key is one."""

import math
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime

from model.drill_status import DrillReport
from model.drill_time import most_minutes
from model.errors import did_you_mean, shown
from model.naming import tenant_database
from model.prices import POSTGRES_NODES, UNKNOWN_CLUSTER
from model.restore_drill import DrillSource, RestoreDrillPlan
from ops.errors import UsageError

AGE_KEYGEN = "age-keygen"
_HOURS_OF_A_MONTH = 672
"""By which DigitalOcean divides a month's price (its documentation, "Billing": 28 days)."""


def choose(drill: RestoreDrillPlan, newest: DrillReport | None, wanted: str | None) -> str:
    """Return the cluster that is forked: the one that waited longest, or the one that is named.

    Raises:
        UsageError: there is no such cluster.
    """
    if wanted is not None:
        if wanted not in drill.sources:
            raise UsageError(
                [
                    f"--cluster {shown(wanted)}: there is no such cluster to fork. "
                    f"{did_you_mean(wanted, drill.sources)}There are: {', '.join(drill.sources)}"
                ]
            )
        return wanted
    known = newest.known if newest else {}

    def waited(key: str) -> tuple[str, str]:
        source = drill.sources[key]
        names = [tenant_database(one) for one in source.databases] + ["control_plane"] * source.control_plane
        # One that nobody has looked at comes before all others.
        times = [known[name].isoformat() if name in known else "" for name in names]
        return min(times, default=""), key

    return min(drill.sources, key=waited)


def told(drill: RestoreDrillPlan, source: DrillSource, backup: datetime, clusters: int) -> Iterator[str]:
    """Say what a drill makes, for how long, and what it costs."""
    hours = math.ceil(most_minutes(drill.hours) / 60)
    yield (
        f"it forks {source.cluster} from its backup of {backup:%Y-%m-%d %H:%M} UTC into {drill.name}, "
        f"one node of {source.size} with Postgres {source.version}, for at most {hours} hours"
    )
    price = POSTGRES_NODES.get(source.size, UNKNOWN_CLUSTER)
    if price.usd is None:
        yield (
            f"what it costs is unknown: the table of prices has none of {source.size}, since {price.source}. "
            f"Your invoice has what a month of that size costs; {hours} hours are {hours / _HOURS_OF_A_MONTH:.1%} of it"
        )
    else:
        yield f"it costs about {price.usd / _HOURS_OF_A_MONTH * hours:.2f} USD at most ({price.source})"
    yield f"the account has {clusters} database clusters, and one more while the drill runs"


def identity(text: str, recipients: Sequence[str], keygen: str = AGE_KEYGEN) -> str:
    """Return the drill's private key out of a file's text, checked to be one that dumps are encrypted for.

    Raises:
        UsageError: it is none.
    """
    keys = [line.strip() for line in text.splitlines() if line.strip().startswith("AGE-SECRET-KEY-1")]
    if len(keys) != 1:
        raise UsageError(["the drill's key is not a key of age's: a line that begins with AGE-SECRET-KEY-1"])
    try:
        done = subprocess.run(
            [keygen, "-y"], input=keys[0] + "\n", capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UsageError(["age is not installed: Debian's and Ubuntu's package `age`"]) from None
    if done.stdout.strip() not in recipients:
        raise UsageError(
            ["the drill's key belongs to none of `backups.recipients` of environment.yaml: it opens no dump"]
        )
    return keys[0]
