"""What a run found, as metrics in Prometheus's text format: `presence360_isolation_*`."""

from collections.abc import Callable, Mapping, Sequence

from droplet.isolation.result import Result

_FAMILIES: Sequence[tuple[str, str, Callable[[Result], float]]] = (
    (
        "success",
        "Whether each tenant reaches its own database and nothing else.",
        lambda result: int(result.success),
    ),
    ("findings", "What is wrong; the journal names each.", lambda result: len(result.findings)),
    ("errors", "What could not be looked at.", lambda result: len(result.errors)),
    ("databases", "Databases that are kept apart.", lambda result: result.notes.get("places", 0)),
    ("login_roles", "Roles that log in to them.", lambda result: result.notes.get("logins", 0)),
    (
        "readers",
        "Logins that a person asked for and that read a database now.",
        lambda result: result.notes.get("readers", 0),
    ),
    ("visited", "Databases whose schema was looked at in this run.", lambda result: result.visited),
    (
        "roles_without_own_limit",
        "Login roles that the cluster's administrator may not alter; their database's limit applies instead.",
        lambda result: result.notes.get("not-alterable", 0),
    ),
    (
        "open_databases",
        "Databases without tenants' data that others own, so that any role may connect.",
        lambda result: result.notes.get("open", 0),
    ),
    (
        "sessions_of_dropped_roles",
        "Sessions that outlive their role, because the cluster's administrator may not end them.",
        lambda result: result.notes.get("orphans", 0),
    ),
    (
        "sessions_not_ended",
        "Sessions without a right to be where they are, which the cluster's administrator may not end.",
        lambda result: result.notes.get("unendable", 0),
    ),
    ("sessions_ended", "Sessions that this run ended.", lambda result: result.notes.get("ended", 0)),
    (
        "cleared",
        "Privileges and objects that kept a role from being dropped, and that this run took back.",
        lambda result: result.cleared,
    ),
    (
        "watched",
        "Whether a watch closes new databases within seconds.",
        lambda result: result.notes.get("watched", 0),
    ),
    ("duration_seconds", "How long the run took.", lambda result: round(result.seconds, 3)),
)

_TIME = ("timestamp_seconds", "When the cluster was last looked at.")

NAMES = frozenset({*(name for name, _, _ in _FAMILIES), _TIME[0]})


def samples_of(result: Result, now: float) -> dict[str, float]:
    """Return what a run found, by metric."""
    return {**{name: value(result) for name, _, value in _FAMILIES}, _TIME[0]: round(now)}


def metrics(samples: Mapping[str, Mapping[str, float]], valid: Mapping[str, bool]) -> str:
    """Write the samples by cluster, and which configurations could be read."""
    lines = []
    for name, text in [*((name, text) for name, text, _ in _FAMILIES), _TIME]:
        values = {cluster: found[name] for cluster, found in samples.items()}
        lines += _family(name, text, "cluster", values)
    text = "Whether what a stack says of its clusters can be read."
    lines += _family(
        "configuration_valid", text, "configuration", {name: int(good) for name, good in valid.items()}
    )
    return "\n".join(lines) + "\n"


def _family(name: str, text: str, label: str, values: Mapping[str, float]) -> list[str]:
    full = f"presence360_isolation_{name}"
    return [
        f"# HELP {full} {text}",
        f"# TYPE {full} gauge",
        *(f'{full}{{{label}="{key}"}} {value}' for key, value in sorted(values.items())),
    ]
