"""Why a dump does not count."""


class BackupError(Exception):
    """It failed. The message is one line without secrets."""


class GaveWayError(BackupError):
    """It was ended for something that matters more, and is made again."""
