"""Dumps of our own: where they go and how long they stay, and what the section cannot say."""

from collections.abc import Mapping
from dataclasses import dataclass

from model.bucket_access import Bucket
from model.drill_time import MOST_HOURS, STEP_MINUTES, most_minutes
from model.environment import EnvironmentFile
from model.errors import Findings, shown
from model.naming import Names

BACKUPS_KEY = "backups.json"
"""The object in the control group's configuration bucket, with the key that writes dumps."""

DUMPS, REQUESTS = "dumps", "requests"
"""Folders of the first bucket: the dumps, and what operators ask for."""

DAYS, WEEKS, MONTHS = "days", "weeks", "months"
"""Folders of the second bucket: a dump is in the one of the longest time that it is kept for."""

REQUEST_DAYS = 1
NONCURRENT_DAYS = 7
"""A dump that was deleted or overwritten stays readable for as long, in both buckets."""

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass(frozen=True, kw_only=True)
class BackupsPlan:
    """Dumps of an environment."""

    bucket: str
    region: str
    copy_bucket: str
    copy_region: str
    recipients: tuple[str, ...]
    """Sorted by the operators' names for them."""
    keep_days: int
    """In the first bucket."""
    copy_days: Mapping[str, int]
    """By folder of the second bucket."""
    hour: str
    parallel: int
    rate_mib: int
    drill: bool = False
    """Whether restores are tried each week (model/restore_drill.py)."""

    @property
    def longest_days(self) -> int:
        """After how many days nothing of a dump is left anywhere."""
        return max(self.keep_days, *self.copy_days.values()) + NONCURRENT_DAYS


def plan_backups(file: EnvironmentFile, names: Names) -> BackupsPlan | None:
    """Decide the dumps of an environment; None where its file asks for none."""
    wanted = file.backups
    if wanted is None:
        return None
    keep = wanted.keep
    days = {DAYS: keep.days, WEEKS: 7 * keep.weeks, MONTHS: 31 * keep.months}
    return BackupsPlan(
        bucket=names.bucket(Bucket.BACKUPS),
        region=file.region,
        copy_bucket=names.bucket(Bucket.BACKUPS_COPY),
        copy_region=wanted.copy_region,
        recipients=tuple(wanted.recipients[name] for name in sorted(wanted.recipients)),
        keep_days=keep.days,
        copy_days={folder: count for folder, count in days.items() if count},
        hour=wanted.hour,
        parallel=wanted.parallel,
        rate_mib=wanted.rate_mib,
        drill=wanted.drill is not None,
    )


def check_backups(file: EnvironmentFile, findings: Findings) -> None:
    """Find a second bucket that is beside the first, recipients that nobody is, and a drill that is too long."""
    # A file whose shape is wrong there lacks the section.
    wanted = getattr(file, "backups", None)
    if wanted is None:
        return
    if hasattr(file, "region") and wanted.copy_region == file.region:
        findings.add(
            ("backups", "copy_region"),
            f"{shown(wanted.copy_region)} is the environment's own region: what destroys the one destroys the other",
            "Choose another region for the copy.",
        )
    if len(wanted.recipients) == 1:
        findings.add(
            ("backups", "recipients"),
            "there is one recipient: with its key every dump would be lost",
            "Add a second one, such as `drill`, with a key of its own (`age-keygen`).",
        )
    if wanted.drill and wanted.drill.hours > MOST_HOURS:
        findings.add(
            ("backups", "drill", "hours"),
            f"a drill of {wanted.drill.hours} hours may take {most_minutes(wanted.drill.hours)} minutes with its fork, "
            f"and CI ends it after {STEP_MINUTES}: nobody would hear what it found",
            f"Write {MOST_HOURS} or less; what is left is first in the next drill.",
        )
    seen: dict[str, str] = {}
    for name, recipient in wanted.recipients.items():
        path = ("backups", "recipients", name)
        if not valid_recipient(recipient):
            findings.add(
                path,
                "this key has a mistyped character: nobody could read what is encrypted for it",
                "Copy the line `# public key: age1...` that `age-keygen` writes, without its beginning.",
            )
        elif recipient in seen:
            findings.add(
                path,
                f"this is the key of {shown(seen[recipient])} as well, so one lost key would lose every dump",
                "Make a key of its own with `age-keygen`, and write its public half.",
            )
        seen.setdefault(recipient, name)


def valid_recipient(recipient: str) -> bool:
    """Tell whether the checksum of one of age's public keys is right (BIP 173, "Checksum")."""
    prefix, _, data = recipient.rpartition("1")
    values = [ord(one) >> 5 for one in prefix] + [0] + [ord(one) & 31 for one in prefix]
    values += [_CHARACTERS.find(one) for one in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check == 1
