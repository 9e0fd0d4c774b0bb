"""What dumps are encrypted and stored with, as droplets have it: Debian 13's age and rclone, unpacked."""

from pathlib import Path

from lab import debian


def programs() -> Path:
    """Return a folder with `age`, `age-keygen` and `rclone`; unpacked in half a minute where it is not there yet.

    Raises:
        debian.MissingError: this machine cannot have them.
    """
    wanted = {name: f"usr/bin/{name}" for name in ("age", "age-keygen", "rclone")}
    return debian.unpacked("age", wanted, "rclone")
