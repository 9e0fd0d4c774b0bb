"""What Terraform says of the dumps: where they go, for whom they are encrypted, when, and how gently."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from droplet.configuration import ConfigurationError

FILE = "backups.json"

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


@dataclass(frozen=True)
class Wanted:
    """What is to be done.

    Attributes:
        bucket: for the dumps.
        endpoint: the object store's address.
        access_key: of the key that opens the bucket, and no other.
        secret_key: of the same.
        recipients: age's public keys.
        hour: when a night begins, in UTC.
        parallel: how many databases at a time.
        rate_mib: how much of each dump is taken a second.
        drill: whether restores are tried each week.
    """

    bucket: str
    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    recipients: Sequence[str]
    hour: str
    parallel: int
    rate_mib: int
    drill: bool = False


def read_wanted(folder: Path) -> Wanted:
    """Read it.

    Raises:
        ConfigurationError: it is not what Terraform writes. The message does not quote it.
    """
    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
        wanted = Wanted(
            bucket=str(value["bucket"]),
            endpoint=str(value["endpoint"]),
            access_key=str(value["access_key"]),
            secret_key=str(value["secret_key"]),
            recipients=[str(one) for one in value["recipients"]],
            hour=str(value["hour"]),
            parallel=int(value["parallel"]),
            rate_mib=int(value["rate_mib"]),
            drill=value.get("drill") is True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{FILE} is not what Terraform writes ({type(error).__name__})") from None
    # One recipient alone: a lost key would take all dumps along.
    if len(wanted.recipients) < 2 or not all(map(_RECIPIENT.fullmatch, wanted.recipients)):  # noqa: PLR2004
        raise ConfigurationError(f"{FILE} names no two recipients of age")
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", wanted.hour):
        raise ConfigurationError(f"{FILE} names no hour")
    return wanted
