"""The edits that README.md and docs/ teach, made in a copy of `tests/environments/`.

The copy is of the tests' files and not of the repository's own, so that an edit can be written as text and what
operators have written, such as a full cluster or a `preview` of their own, cannot break a test.
"""

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from model.known_environments import ENVIRONMENTS_LOCK
from model.known_tenants import LOCK_FILE, format_lock
from model.loader import environments_lock, load_environments
from tests.support import ENVIRONMENTS, ROOT

CHURCH = "c0ffee00-0000-4000-8000-000000000001"
RELEASE = "1.5.0"


def copy(where: Path) -> Path:
    """Copy the files with their schemas; returns the folder of the environments."""
    shutil.copytree(ROOT / "schemas", where / "schemas")
    # As deep as in the repository: the files name their schemas by a relative path.
    return Path(shutil.copytree(ENVIRONMENTS, where / ENVIRONMENTS.relative_to(ROOT)))


def nothing(_folder: Path) -> None:
    """Leave the files as they are."""


def church(folder: Path) -> None:
    """Add a church to every environment, and record it: README.md, "Add a church"."""
    entry = f"  - id: {CHURCH}\n    slug: lighthouse\n    name: Lighthouse Church\n"
    for file in folder.glob("*/tenants.yaml"):
        file.write_text(file.read_text(encoding="utf-8") + entry, encoding="utf-8")
    make_tenants(folder)


def release(folder: Path) -> None:
    """Release a version of every service: README.md, "Release, settings, secrets"."""
    for name in environments(folder):
        _replace(folder, name, r'(?m)^(  [a-z-]+: )"1\.4\.\d"$', rf'\g<1>"{RELEASE}"')


def own_values(folder: Path) -> None:
    """Put one's own domain, address and key in the place of the examples: README.md, "First deploy"."""
    for name in environments(folder):
        _replace(folder, name, r"\bpresence360\.app\b", "presence360.org")
        # Anycast of 6to4 relays until RFC 7526 deprecated it: in no documentation range, and nobody's own.
        _replace(folder, name, r"(?<=admin_cidrs: \[).*(?=\])", "192.88.99.1/32")
        _replace(folder, name, r'ssh-ed25519 .*(?=")', public_key(name))
        _replace(folder, name, r"\b(presence360|mailprovider)\.(example|org)\b", "presence360.org")


def preview(folder: Path) -> None:
    """Add an environment: a copy of staging's folder with a name, a range, a domain and a key of its own."""
    shutil.copytree(folder / "staging", folder / "preview", ignore=shutil.ignore_patterns("*.lock"))
    _replace(folder, "preview", r"\bstaging\b", "preview")
    _replace(folder, "preview", r"10\.60\.0\.0/20", "10.80.0.0/20")
    _replace(folder, "preview", r'ssh-ed25519 .*(?=")', public_key("preview"))
    _replace(folder, "production", r"delegations: \[staging\]", "delegations: [staging, preview]")
    make_tenants(folder)


EDITS: tuple[Callable[[Path], None], ...] = (nothing, church, release, own_values, preview)


def environments(folder: Path) -> list[str]:
    """Name the environments of a folder."""
    return sorted(path.name for path in folder.glob("*/"))


def make_tenants(folder: Path) -> None:
    """Write the locks, as `presence360 tenant lock` does; files that would lose a tenant's data do not load."""
    environments = load_environments(folder)
    for environment in environments:
        name = environment.file.environment
        (folder / name / LOCK_FILE).write_text(format_lock(environment.tenants, name), encoding="utf-8")
    text = environments_lock(folder, environments)
    (folder / ENVIRONMENTS_LOCK).write_text(text, encoding="utf-8")


def public_key(seed: str) -> str:
    """Return a public key that nobody holds the other half of, and that is not marked as an example."""
    kind = b"ssh-ed25519"
    fields = (kind, hashlib.sha256(seed.encode()).digest())
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"{kind.decode()} {base64.b64encode(blob).decode()} ops@{seed}"


def _replace(folder: Path, environment: str, pattern: str, replacement: str) -> None:
    """Replace a pattern in an environment's file; it must be there."""
    file = folder / environment / "environment.yaml"
    text, found = re.subn(pattern, replacement, file.read_text(encoding="utf-8"))
    assert found, f"{pattern!r} is not in {file}"
    file.write_text(text, encoding="utf-8")
