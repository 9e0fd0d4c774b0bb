"""Releases: what runs where. A release is an edit of `releases:` in an environment.yaml."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model.errors import Problem, did_you_mean, relative_name, shown
from model.loader import ENVIRONMENT_FILE, Environment
from model.services import CATALOGUE
from ops import yaml_edit
from ops.edits import Draft, Edited, deploy, draft
from ops.refused import RefusedError

ALL = "all"
"""In place of a service's name: every service."""


def set_release(root: Path, environment: str, service: str, release: str) -> Edited:
    """Release a version of one service, or of `all`.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such environment or service, or no image can have such a tag or digest.
    """
    with draft(root) as change:
        before = current(change.environment(environment))
        services = list(CATALOGUE) if service == ALL else [_known(service, environment, root)]
        return _write(change, environment, before, {**before, **dict.fromkeys(services, release)})


def promote(root: Path, source: str, target: str, services: Sequence[str] = ()) -> Edited:
    """Release in one environment what another one runs.

    Args:
        root: the folder of the environments.
        source: whose releases are copied.
        target: where they are written.
        services: which of them; empty: all.

    Raises:
        InvalidInputError: the files are not valid as they are.
        RefusedError: there is no such environment or service.
    """
    with draft(root) as change:
        tried, before = current(change.environment(source)), current(change.environment(target))
        wanted = [_known(service, target, root) for service in services] or list(CATALOGUE)
        return _write(change, target, before, {**before, **{service: tried[service] for service in wanted}})


def current(environment: Environment) -> dict[str, str]:
    """Return the release of every service, in the catalogue's order."""
    written: Mapping[str, str] = {str(name): release for name, release in environment.file.releases.items()}
    return {service: written[service] for service in CATALOGUE}


def _write(change: Draft, environment: str, before: Mapping[str, str], after: Mapping[str, str]) -> Edited:
    changed = {service: release for service, release in after.items() if release != before[service]}
    for service, release in changed.items():
        _edit(change, environment, service, release)
    files = change.write().files
    if not changed:
        return Edited(
            files, (f"{environment}: these releases are written there already; nothing was changed.",)
        )
    said = [
        f"{environment}: {service} {before[service]} -> {release}" for service, release in changed.items()
    ]
    said += [
        "At the deploy: no droplet is replaced. Droplets fetch the images within a minute and apply them in turns.",
        "A release that does not become healthy is rolled back.",
        deploy(environment),
    ]
    return Edited(files, tuple(said))


def _edit(change: Draft, environment: str, service: str, release: str) -> None:
    change.edit(
        change.file(environment, ENVIRONMENT_FILE),
        lambda text: yaml_edit.set_value(text, ("releases", service), release),
    )


def _known(service: str, environment: str, root: Path) -> str:
    if service in CATALOGUE:
        return service
    file = relative_name(root / environment / ENVIRONMENT_FILE)
    remedy = f"{did_you_mean(service, CATALOGUE)}Name one of: {', '.join(CATALOGUE)}, or {ALL}."
    raise RefusedError(Problem(file, 0, "releases", f"there is no service {shown(service)}", remedy))
