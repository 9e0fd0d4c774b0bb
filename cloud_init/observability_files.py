"""Where the observability droplet's files are. Pure."""

from typing import Final

FOLDER: Final = "/var/lib/presence360-observability"
"""The files that droplet/observability writes."""

SECRETS: Final = f"{FOLDER}/secrets"
