"""A whole small Ceph on this machine: Debian 13's monitor, storage daemon and object gateway, the software of Spaces.

lab/object_storage.py has the gateway alone, on a file of SQLite: it starts in a second and knows versions, but it ends
with an error when a lifecycle rule is carried out. Here the gateway stands on what it is made for, so that rules are
carried out, and a day of a rule takes as long as a test says (`rgw lc debug interval`, as Ceph's own tests have it).

One monitor and one storage daemon that keeps everything in memory; no manager, which only counts. About 45 MiB each.
"""

import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import debian
from lab.object_storage import Gateway, free_port

_PROGRAMS = ("ceph-mon", "ceph-osd", "monmaptool", "osdmaptool", "radosgw", "radosgw-admin")
_KEY = ("DO00LAB", "lab")
_SECONDS = 120
"""For a start on a loaded machine."""


def unpacked() -> Path:
    """Return the folder with the programs; made in about a minute where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have them.
    """
    return debian.unpacked(
        "ceph-osd",
        {name: f"usr/bin/{name}" for name in _PROGRAMS},
        *("ceph-mon", "radosgw", "ceph-base"),
        beside=tuple(
            f"usr/lib/*/{folder}/*.so*" for folder in ("rados-classes", "ceph/compressor", "ceph/crypto")
        ),
    )


@contextmanager
def gateway(folder: Path, day_seconds: int) -> Iterator[Gateway]:
    """Start a Ceph whose gateway has one user and no buckets, and end it.

    Args:
        folder: a new one, its own.
        day_seconds: for how long a day of a lifecycle rule lasts.

    Raises:
        debian.MissingError: this machine cannot have one.
        RuntimeError: it did not start; its logs say why.
    """
    programs = unpacked()
    fsid, ports = str(uuid.uuid4()), (free_port(), free_port())
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    (folder / "ceph.conf").write_text(
        _settings(folder, programs / "lib", fsid, ports, day_seconds), encoding="utf-8"
    )
    ceph = _Ceph(folder, programs)
    address = f"[v2:127.0.0.1:{ports[0]}]"
    ceph.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, str(folder / "monmap"))
    ceph.run("osdmaptool", "--createsimple", "1", str(folder / "osdmap"))
    ceph.run(
        "ceph-mon",
        "-i",
        "a",
        "--mkfs",
        "--monmap",
        str(folder / "monmap"),
        "--osdmap",
        str(folder / "osdmap"),
    )
    with ExitStack() as stack:
        stack.enter_context(ceph.daemon("ceph-mon", "-i", "a"))
        ceph.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4()))
        stack.enter_context(ceph.daemon("ceph-osd", "-i", "0"))
        ceph.run(
            *("radosgw-admin", "--name", "client.admin", "user", "create", "--uid=services"),
            *("--display-name=services", f"--access-key={_KEY[0]}", f"--secret-key={_KEY[1]}"),
        )
        process = stack.enter_context(ceph.daemon("radosgw", "--name", "client.admin"))
        made = Gateway(ports[1], 0, *_KEY)
        ceph.wait(made, process)
        yield made


class _Ceph:
    """Starts its programs with one file of settings."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs

    def command(self, program: str, *arguments: str) -> list[str]:
        common = (
            ()
            if program.endswith("maptool")
            else ("--conf", str(self.folder / "ceph.conf"), "--no-mon-config")
        )
        return [str(self.programs / program), *common, *arguments]

    def run(self, program: str, *arguments: str) -> None:
        command = self.command(program, *arguments)
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{program} did not end:\n{self._said()}") from None
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}\n{self._said()}")

    @contextmanager
    def daemon(self, program: str, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
        with (self.folder / f"{program}.out").open("wb") as output:
            process = subprocess.Popen(
                self.command(program, *arguments, "--foreground"),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        try:
            yield process
        finally:
            # What is in it goes with it: nothing has to be written first.
            process.kill()
            process.wait()

    def wait(self, made: Gateway, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _SECONDS
        while not made.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the object gateway did not start:\n{self._said()}")
            time.sleep(0.1)

    def _said(self) -> str:
        files = (*self.folder.glob("*.log"), *self.folder.glob("*.out"))
        return "\n".join(path.read_text(encoding="utf-8", errors="replace")[-1500:] for path in files)


def _settings(folder: Path, library: Path, fsid: str, ports: Sequence[int], day_seconds: int) -> str:
    sections: dict[str, dict[str, object]] = {
        "global": {
            "fsid": fsid,
            "run dir": folder,
            "log file": f"{folder}/$name.log",
            "admin socket": "",
            **{f"auth {kind} required": "none" for kind in ("cluster", "service", "client")},
            "mon host": f"v2:127.0.0.1:{ports[0]}",
            "ms bind msgr1": "false",
            "public addr": "127.0.0.1",
            "cluster addr": "127.0.0.1",
            # One daemon has each object once.
            "mon allow pool size one": "true",
            "osd pool default size": 1,
            "osd pool default min size": 1,
            "osd pool default pg num": 1,
            "osd pool default pgp num": 1,
            "osd pool default pg autoscale mode": "off",
            "osd crush chooseleaf type": 0,
            # Plugins that are not needed, and without which monitor and daemon end where they are asked for.
            "osd extblkdev plugins": "",
            "osd erasure code plugins": "",
            "plugin dir": library,
            "osd class dir": library,
        },
        "mon": {"mon data": folder / "mon", "mon cluster log file": folder / "cluster.log"},
        "osd": {
            "osd data": folder / "osd",
            "osd objectstore": "memstore",
            "memstore device bytes": 256 * 1024 * 1024,
            "osd class load list": "*",
        },
        "client": {
            # A gateway insists on encryption towards the monitor, for which there is no key here.
            "ms mon client mode": "crc",
            "rgw data": folder,
            "rgw frontends": f"beast endpoint=127.0.0.1:{ports[1]}",
            "rgw lc debug interval": day_seconds,
        },
    }
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
        for section, settings in sections.items()
    )
