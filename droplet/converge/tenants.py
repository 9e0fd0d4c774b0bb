"""Which host names are a tenant's: nginx looks for a file named after the slug, so a new church needs no reload of it.

A reload would end every WebSocket after two minutes (nginx.conf.j2, worker_shutdown_timeout).
"""

import json
import re
import shutil

from droplet import journal
from droplet.converge.manifest import agrees
from droplet.converge.paths import Paths

KEY = "tenants.json"
_SLUG = re.compile(r"[a-z0-9-]{1,63}")


def mark_tenants(paths: Paths) -> None:
    """Bring the folder of tenants to the fetched list; what is wrong with the list leaves the folder as it is."""
    if not agrees(paths, KEY, "environment"):
        return
    try:
        slugs = {
            slug for slug in json.loads((paths.incoming / KEY).read_bytes())["slugs"] if _SLUG.fullmatch(slug)
        }
    except (ValueError, KeyError, TypeError):
        journal.log(journal.ERROR, f"{KEY} is not a list of slugs")
        return
    folder = paths.tenants
    if not folder.is_dir():
        # Whole or not at all: without the folder nginx passes every name on.
        draft = folder.with_name(".tenants.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o755)
        for slug in slugs:
            (draft / slug).touch(mode=0o644)
        draft.rename(folder)
        return
    before = {path.name for path in folder.iterdir()}
    for slug in slugs - before:
        (folder / slug).touch(mode=0o644)
    for name in before - slugs:
        (folder / name).unlink()
