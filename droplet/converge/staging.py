"""Turn a state of the bucket into a release folder, and remove old ones."""

import json
import shutil
from collections.abc import Mapping

from droplet import journal
from droplet.converge.containers import Containers
from droplet.converge.errors import CommandError, ConvergeError
from droplet.converge.manifest import agrees, digest_of, sha256
from droplet.converge.objects import check_objects, image_variable, makes_release
from droplet.converge.paths import Paths, write
from droplet.converge.release import DERIVED, Release, derive, load_release

LOADED = "loaded.conf"
"""Beside a release's nginx.conf, which includes it: what nginx says that it loaded."""

KEPT_RELEASES = 3
"""The current release and those before it, with their images."""


DROPLET = "PRESENCE360_DROPLET"
"""What compose.yaml calls the droplet's name: the file itself is the same on all of a group's."""


def stage(
    paths: Paths, containers: Containers, objects: Mapping[str, bytes], digest: str, hostname: str
) -> Release:
    """Check a state of the bucket and keep it as a release; nothing that runs is touched.

    Raises:
        ConvergeError: this program, Compose or nginx refuses an object.
    """
    check_objects(objects)
    folder = paths.releases / digest
    if release := load_release(folder):
        return release
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "docker").mkdir(mode=0o755, parents=True)
    for name, content in objects.items():
        write(folder / name, content, mode=0o600)
    return _derive(paths, containers, objects, digest, hostname)


def _derive(
    paths: Paths, containers: Containers, objects: Mapping[str, bytes], digest: str, hostname: str
) -> Release:
    images, folder = check_objects(objects), paths.releases / digest
    write(folder / "docker/config.json", objects.get("registry.json") or b"{}", mode=0o600)
    lines = [f"{image_variable(name)}={image}\n" for name, image in sorted(images.items())]
    lines.append(f"{DROPLET}={hostname}\n")
    write(folder / "images.env", "".join(lines).encode(), mode=0o600)
    draft = Release(folder=folder, digest=digest, images=images, hashes={}, targets=())
    config = json.loads(containers.config(draft))
    # What nginx answers when it is asked what it loaded; nginx.conf includes it from its own folder.
    write(folder / LOADED, f'return 200 "{configuration_of(objects)}";\n'.encode(), mode=0o644)
    containers.check_nginx(folder / "nginx.conf")
    derived = derive(config, images, digest)
    # Last, so that a folder that has it is complete.
    write(folder / DERIVED, json.dumps(derived, indent=1).encode(), mode=0o644)
    return Release(folder=folder, **derived)


def stage_again(paths: Paths, containers: Containers, hostname: str) -> Release | None:
    """Work out anew what follows from the objects of the release that runs; None if its folder is damaged."""
    folder = paths.current.resolve()
    try:
        objects = {path.name: path.read_bytes() for path in folder.iterdir() if makes_release(path.name)}
        if digest_of(objects) != folder.name:
            return None
        release = _derive(paths, containers, objects, folder.name, hostname)
    except (ConvergeError, OSError, KeyError) as error:
        journal.log(journal.ERROR, f"release {folder.name} is damaged: {error}")
        return None
    journal.log(journal.WARNING, f"release {folder.name} could not be read, and was derived again")
    return release


def serves(containers: Containers, release: Release) -> bool:
    """Tell whether nginx runs with a release's configuration, as far as that one lets nginx say so."""
    try:
        text = (release.folder / "nginx.conf").read_bytes()
    except OSError:
        return False
    return LOADED.encode() not in text or containers.loaded() == configuration_of({"nginx.conf": text})


def configuration_of(objects: Mapping[str, bytes]) -> str:
    """Name a configuration of nginx after its content."""
    return sha256(objects["nginx.conf"])[:16]


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
    """Tell the isolation job that its configurations changed, each when it is what its stack's manifest lists."""
    known = paths.isolation_changed
    before = known.read_text() if known.exists() else ""
    lines = {line.partition(" ")[0]: f"{line}\n" for line in before.splitlines()}
    said = ""
    for path in sorted(paths.isolation.glob("*.json")):
        if agrees(paths, f"isolation/{path.name}", path.stem):
            said += f"{path.name} {sha256(path.read_bytes())}\n"
        else:
            # An apply is under way; the change is told when it is through.
            said += lines.get(path.name, "")
    if said != before:
        write(known, said.encode(), mode=0o600)
