"""The Debian 13 that droplets boot from in the tests, and what runs in their containers; cached between runs.

The packages that the user data asks for are in the image as files, not installed: cloud-init installs them
for real, from a folder, so that a droplet needs no network beyond the laboratory's own.
"""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"

# What DigitalOcean's debian-13-x64 brings that minbase does not, as far as user data relies on it.
BASE_PACKAGES = (
    *("ca-certificates", "cloud-init", "dbus", "iproute2", "kmod", "libpam-systemd", "netcat-openbsd"),
    *("openssh-server", "procps", "python3", "sudo", "systemd", "systemd-resolved", "systemd-sysv"),
    "systemd-timesyncd",
)

KEPT = 5
"""Images that stay, by their last use; each is about half a gigabyte."""

PROGRAMS = ("mmdebstrap", "systemd-nspawn", "ip", "nsenter", "dpkg-scanpackages")


@dataclass(frozen=True)
class Image:
    """A droplet's file system before its first boot, and that of the stand-in services."""

    root: Path
    stand_in: Path


def cached_image(packages: Sequence[str], stand_in: Path) -> Image:
    """Return the image for a list of packages; made in about two minutes where it is not there yet."""
    content = "\n".join([SUITE, *BASE_PACKAGES, "-", *sorted(packages), Path(__file__).read_text()])
    key = hashlib.sha256(content.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence360" / "droplets"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = cache / key
        if not folder.exists():
            # Another checkout's may be in use right now.
            for old in sorted(cache.glob("?" * len(key)), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old)
            draft = cache / f"{key}.new"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            _bootstrap(draft / "root", packages)
            draft.replace(folder)
        folder.touch()
        archive = folder / "stand-in.tar"
        _stand_in(folder / "root", stand_in, archive.with_suffix(".new"))
        archive.with_suffix(".new").replace(archive)
    return Image(root=folder / "root", stand_in=archive)


def _bootstrap(root: Path, packages: Sequence[str]) -> None:
    bare = root.with_name("bare.tar")
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", SUITE, str(bare)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    root.mkdir()
    subprocess.run(["tar", "--extract", "--file", bare, "--directory", root], check=True)
    bare.unlink()
    # The machine's own name service, for as long as packages are fetched.
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", resolver)
    get = ["chroot", str(root), "apt-get", "--quiet", "--yes", "--no-install-recommends", "-o"]
    keep = "Binary::apt-get::APT::Keep-Downloaded-Packages=true"
    subprocess.run([*get, keep, "update"], check=True, capture_output=True)
    subprocess.run([*get, keep, "install", "--download-only", *packages], check=True, capture_output=True)
    resolver.unlink()
    archives, folder = root / "var/cache/apt/archives", root / "srv/packages"
    folder.mkdir()
    for package in archives.glob("*.deb"):
        package.replace(folder / package.name)
    index = subprocess.run(
        ["dpkg-scanpackages", "--multiversion", "."], cwd=folder, check=True, capture_output=True
    ).stdout
    (folder / "Packages").write_bytes(index)
    (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n")
    shutil.rmtree(root / "var/lib/apt/lists")
    for name in ("etc/machine-id", "etc/hostname"):
        (root / name).unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def _stand_in(root: Path, program: Path, archive: Path) -> None:
    """Make a container's root of Python alone, out of the same Debian: about the least a slim image holds."""
    python = next(path for path in (root / "usr/bin").glob("python3.*") if path.name[8:].isdigit())
    library = root / "usr/lib" / python.name
    binaries = [
        f"/usr/bin/{python.name}",
        *(f"/{p.relative_to(root)}" for p in library.glob("lib-dynload/*.so")),
    ]
    shown = subprocess.run(["chroot", root, "ldd", *binaries], check=True, capture_output=True, text=True)
    needed = {word for word in shown.stdout.split() if word.startswith("/") and not word.endswith(":")}
    with tarfile.open(archive, "w") as tar:
        for name in ("bin", "lib", "lib64", "usr/lib64"):
            if (root / name).is_symlink():
                tar.add(root / name, name)
        tar.add(python, f"usr/bin/{python.name}")
        # With its compiled files: a health check starts an interpreter, and would compile the library every time.
        tar.add(library, f"usr/lib/{python.name}", filter=_without_tests)
        for path in sorted(needed):
            # In the chroot, because absolute links are that root's; and /lib is a link to /usr/lib there.
            content = subprocess.run(["chroot", root, "cat", path], check=True, capture_output=True).stdout
            entry = tarfile.TarInfo(path[1:] if path.startswith("/usr/") else f"usr{path}")
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"usr/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, python.name
            tar.addfile(link)
        # Not Node: its health check is answered by the same program (see there).
        tar.add(program, "usr/bin/node", filter=executable)
        tar.add(program, "usr/bin/stand-in", filter=executable)


def _without_tests(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "/test/" in entry.name else entry


def executable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Let everybody run a file of an archive."""
    entry.mode = 0o755
    return entry
