"""Rotate a tenant's credentials in a pull request, as the workflow `rotate.yml` asks for it."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from model.loader import load_environments
from ops.ci.github import Repository
from ops.edits import by_name, environment_named, find_tenant
from ops.errors import UsageError
from ops.git import git, head
from ops.paths import ROOT
from ops.rotate import rotate

ENVIRONMENT, TENANT, FINISH = "ROTATE_ENVIRONMENT", "ROTATE_TENANT", "ROTATE_FINISH"
"""The workflow's inputs. They are read here and nowhere else: no shell and no make ever sees their text."""

BASE = "main"

_FILE_MODE = "100644"


def propose_rotation(_: argparse.Namespace) -> int:
    """Rotate a tenant's credentials in a branch, and open its pull request."""
    print(propose(Repository.of(os.environ), ROOT, os.environ))
    return 0


def propose(repository: Repository, root: Path, environ: Mapping[str, str]) -> str:
    """Make the edit in this checkout, commit it through the API to a branch, and open a pull request; say which.

    A branch is named after what it does, so a second request for the same rotation finds the first one's.

    Raises:
        UsageError: an input is missing.
        InvalidInputError: the files are not valid.
        RefusedError: there is no such environment or tenant, or its credentials cannot be rotated now.
        StepError: GitHub refuses.
    """
    if missing := [f"{name} is not set" for name in (ENVIRONMENT, TENANT) if not environ.get(name)]:
        raise UsageError(missing)
    environment, finish = environ[ENVIRONMENT], environ.get(FINISH) == "true"
    files = root / "environments"
    before = find_tenant(
        environment_named(by_name(load_environments(files)), environment, files), environ[TENANT], files
    ).tenant
    edited = rotate(files, environment, before.id, finish=finish)
    what = "Finish the rotation" if finish else "Rotate the credentials"
    generation = before.credentials.generation + (not finish)
    branch = f"rotate/{environment}-{before.id}-g{generation}" + ("-finish" if finish else "")
    owner = repository.name.partition("/")[0]
    for found in repository.all("pulls", state="open", head=f"{owner}:{branch}", base=BASE):
        return f"pull request {found['number']} is open already: {found['html_url']}"
    title = f"{what} of {before.slug} in {environment}"
    _commit(repository, root, branch, title)
    body = "\n\n".join(
        [*edited.said, "Opened by the workflow `rotate.yml` (docs/runbooks/rotate-credentials.md)."]
    )
    made = repository.call("POST", "pulls", {"title": title, "head": branch, "base": BASE, "body": body})
    return f"opened pull request {made['number']}: {made['html_url']}"


def _commit(repository: Repository, root: Path, branch: str, message: str) -> None:
    """Commit what differs from the checked-out commit to a branch, new or left from a closed pull request."""
    parent = head(root)
    changed = git(root, "diff", "--name-only", "HEAD", "--", "environments").splitlines()
    files = [
        {
            "path": name,
            "mode": _FILE_MODE,
            "type": "blob",
            "content": (root / name).read_text(encoding="utf-8"),
        }
        for name in changed
    ]
    tree = repository.call("POST", "git/trees", {"base_tree": parent, "tree": files})
    commit = repository.call(
        "POST", "git/commits", {"message": message, "tree": tree["sha"], "parents": [parent]}
    )
    # GitHub lists every branch that begins like this; one of this very name is moved.
    found = repository.call("GET", f"git/matching-refs/heads/{branch}")
    if any(one["ref"] == f"refs/heads/{branch}" for one in found):
        repository.call("PATCH", f"git/refs/heads/{branch}", {"sha": commit["sha"], "force": True})
    else:
        repository.call("POST", "git/refs", {"ref": f"refs/heads/{branch}", "sha": commit["sha"]})
