#!/usr/bin/python3
"""presence360-host: at each boot, work out what differs between the droplets of a group.

User data is the same for all of them, so this is found on the droplet: the private address, the window for reboots,
the certificate for the load balancer, and a first nginx configuration without services.

Travels in user data, and runs as root before nginx. Needs Debian 13's python3, iproute2 and openssl, nothing else.
"""

import hashlib
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ETC = Path("/etc/presence360")
STATE = Path("/var/lib/presence360")
RUN = Path("/run/presence360")
APT_CONF = Path("/etc/apt/apt.conf.d/53presence360-reboot")

FIRST_WINDOW_MINUTES = 60
"""01:00 UTC: upgrades come at 06:00 at the earliest (apt-daily-upgrade.timer), reboots the night after."""
WINDOW_MINUTES = 10
"""A reboot and the load balancer's two good health checks take about two."""
WINDOWS = 24
"""At least the most replicas a group may have (20), so no two of a group's numbered droplets share one."""

CERTIFICATE_DAYS = 3650
"""The load balancer verifies no certificate (its API has no setting for it). A droplet does not live this long."""


def reboot_time(hostname: str) -> str:
    """Return when this droplet may reboot for an upgrade, HH:MM; by its number, or by chance in a pool."""
    # staging-app-1, or staging-app-1-3fa9c2 with the droplet's generation (model/naming.py).
    number = re.search(r"-(\d{1,3})(-[0-9a-f]{6})?$", hostname)
    value = int(number[1]) - 1 if number else int(hashlib.sha256(hostname.encode()).hexdigest(), 16)
    minutes = FIRST_WINDOW_MINUTES + WINDOW_MINUTES * (value % WINDOWS)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def private_address(addresses: Iterable[str], vpc_range: str) -> str | None:
    """Return the address in the VPC's range; None if there is none."""
    network = ipaddress.ip_network(vpc_range)
    return next((address for address in addresses if ipaddress.ip_address(address) in network), None)


def local_addresses() -> list[str]:
    """Ask the kernel for this host's IPv4 addresses."""
    command = ["/usr/bin/ip", "-json", "-4", "address"]
    shown = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [entry["local"] for link in json.loads(shown) for entry in link.get("addr_info", ())]


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.replace(path)


def make_certificate(folder: Path, hostname: str) -> None:
    """Make a key and a self-signed certificate, once in the droplet's life."""
    key, certificate = folder / "droplet.key", folder / "droplet.crt"
    if key.exists() and certificate.exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    old_mask = os.umask(0o077)
    try:
        options = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        life = ["-days", str(CERTIFICATE_DAYS), "-subj", f"/CN={hostname}"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["/usr/bin/openssl", *options, *life, *files], check=True, capture_output=True)
    finally:
        os.umask(old_mask)


def main() -> None:
    """Do all of it; it may run any number of times."""
    group = json.loads((ETC / "group.json").read_text())
    hostname = socket.gethostname()
    for folder in (RUN, STATE, STATE / "releases"):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    make_certificate(ETC / "tls", hostname)
    address = private_address(local_addresses(), group["vpc_range"])
    if address is None:
        sys.stderr.write(f"<4>no address in {group['vpc_range']}: metrics are on loopback only\n")
    write(RUN / "metrics-listen.conf", f"listen {address or '127.0.0.1'}:{group['metrics_port']};\n")
    write(APT_CONF, f'Unattended-Upgrade::Automatic-Reboot-Time "{reboot_time(hostname)}";\n')
    current = STATE / "current"
    if not current.is_symlink():
        current.symlink_to(ETC / "bootstrap")


if __name__ == "__main__":
    main()
