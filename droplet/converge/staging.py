"""Turn a state of the bucket into a release folder, and remove old ones."""

import hashlib
import json
import shutil
from collections.abc import Mapping

from droplet import journal
from droplet.converge.containers import Containers
from droplet.converge.errors import CommandError
from droplet.converge.objects import check_objects, image_variable
from droplet.converge.paths import Paths, write
from droplet.converge.release import DERIVED, Release, derive, load_release

KEPT_RELEASES = 3
"""The current release and those before it, with their images."""


def stage(paths: Paths, containers: Containers, objects: Mapping[str, bytes], digest: str) -> Release:
    """Check a state of the bucket and keep it as a release; nothing that runs is touched.

    Raises:
        ConvergeError: this program, Compose or nginx refuses an object.
    """
    images = check_objects(objects)
    folder = paths.releases / digest
    if release := load_release(folder):
        return release
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "docker").mkdir(mode=0o755, parents=True)
    for name, content in objects.items():
        write(folder / name, content, mode=0o600)
    write(folder / "docker/config.json", objects.get("registry.json") or b"{}", mode=0o600)
    lines = [f"{image_variable(name)}={image}\n" for name, image in sorted(images.items())]
    write(folder / "images.env", "".join(lines).encode(), mode=0o600)
    draft = Release(folder=folder, digest=digest, images=images, hashes={}, targets=())
    config = json.loads(containers.config(draft))
    hashes = containers.hashes(draft)
    containers.check_nginx(folder / "nginx.conf")
    derived = derive(config, hashes, images, digest)
    # Last, so that a folder that has it is complete.
    write(folder / DERIVED, json.dumps(derived, indent=1).encode(), mode=0o644)
    release = load_release(folder)
    assert release  # noqa: S101  written in the line before
    return release


def prune(paths: Paths, containers: Containers, current: Release) -> None:
    """Remove old releases and the images that only they used."""
    folders = [path for path in paths.releases.iterdir() if (path / DERIVED).exists()]
    folders.sort(key=lambda path: (path.name == current.digest, path.stat().st_mtime), reverse=True)
    releases = [release for path in folders if (release := load_release(path))]
    kept = {image for release in releases[:KEPT_RELEASES] for image in release.images.values()}
    for release in releases[KEPT_RELEASES:]:
        for image in sorted(set(release.images.values()) - kept):
            try:
                containers.remove_image(image)
            except CommandError as error:
                journal.log(journal.INFO, f"image {image} stays: {error}")
        shutil.rmtree(release.folder)


def share_authorities(paths: Paths, release: Release) -> None:
    """Let containers see the certificate authorities of the data services, as they are in this release."""
    paths.shared.mkdir(mode=0o755, parents=True, exist_ok=True)
    if (source := release.folder / "ca.pem").exists():
        write(paths.shared / "ca.pem", source.read_bytes(), mode=0o644)


def announce_isolation(paths: Paths) -> None:
    """Tell the isolation job that its configurations changed; in their folder, files come and go during a fetch."""
    files = sorted(paths.isolation.glob("*.json"))
    parts = (f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)
    found, known = "".join(parts), paths.isolation_changed
    if found != (known.read_text() if known.exists() else ""):
        write(known, found.encode(), mode=0o600)
