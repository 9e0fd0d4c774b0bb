"""What differs from main: this checkout, and what was deployed."""

import hashlib
import json
from collections.abc import Iterator

from cloud_init.compose import render_compose
from cloud_init.nginx import render_nginx
from cloud_init.programs import render_programs
from model.droplets import DropletGroupPlan
from model.status import Manifest
from ops.check.finding import Finding, bad, few, good, not_seen, soon
from ops.check.look import Look
from ops.errors import OperationError
from ops.git import git

MAIN = ("origin/main", "main")


def checkout(look: Look) -> Iterator[Finding]:
    """This checkout is main, with nothing uncommitted."""
    try:
        edited = [line[3:] for line in git(look.root, "status", "--porcelain").splitlines()]
        here = git(look.root, "rev-parse", "HEAD").strip()
    except OperationError as error:
        yield not_seen(str(error), "Run it in a checkout with git")
        return
    if edited:
        yield soon(f"not committed: {few(edited)}", "Commit it and open a pull request, or put it aside")
    main = _main(look)
    if main is None:
        yield not_seen("git knows no main here", "git fetch origin main")
    elif main != here:
        yield soon(f"{here[:12]} is checked out, and main is {main[:12]}", "git switch main && git pull")
    yield good(f"{here[:12]} is main, as it was fetched last")


def _main(look: Look) -> str | None:
    for name in MAIN:
        try:
            return git(look.root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
        except OperationError:
            continue
    return None


def deployed(look: Look) -> Iterator[Finding]:
    """The buckets hold what this checkout makes: images, programs, Compose and nginx."""
    aside = any(finding.todo for finding in checkout(look))
    deploy = f"Deploy: presence360 plan {look.name}"
    if aside:
        deploy = (
            f"See the line of the checkout; then, if it is this that should run: presence360 plan {look.name}"
        )
    for group in look.plan.groups:
        manifest = look.manifest(group.config.bucket)
        if manifest is None:
            yield bad(f"{group.group}: nothing was deployed", deploy)
        elif differing := sorted(_differing(look, group, manifest)):
            said = f"{group.group}: {', '.join(differing)} differ from this checkout"
            # Another checkout than main proves nothing of the environment.
            yield soon(said, deploy) if aside else bad(said, deploy)
    yield good("images, programs, Compose and nginx are those of this checkout")


def _differing(look: Look, group: DropletGroupPlan, manifest: Manifest) -> Iterator[str]:
    texts = {
        "programs.json": render_programs(group),
        "compose.yaml": render_compose(group),
        "nginx.conf": render_nginx(group),
    }
    for key, text in texts.items():
        if manifest.objects.get(key) != hashlib.sha256(text.encode()).hexdigest():
            yield key
    content = look.read(group.config.bucket, "release.json")
    try:
        images = json.loads(content or b"{}")["images"]
    except (ValueError, KeyError, TypeError):
        images = None
    if images != dict(group.config.images):
        yield "release.json"
