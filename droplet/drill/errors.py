"""Why a drill, or a part of it, ends."""


class DrillError(Exception):
    """It cannot go on. The message is one line without secrets and without anything of a church's rows."""


class LateError(DrillError):
    """A database's time is over."""


class StoppedError(DrillError):
    """It was told to end, or its time is over."""
