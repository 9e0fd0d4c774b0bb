"""Why a run ends without running what the bucket says."""


class ConvergeError(Exception):
    """What the bucket says cannot run here; the droplet stays with what it runs."""


class CommandError(ConvergeError):
    """A program failed."""


class FailedBeforeError(ConvergeError):
    """The bucket still says what failed before."""


class HeldError(ConvergeError):
    """Another droplet of the group failed with what the bucket says."""


class WaitingError(ConvergeError):
    """The droplet goes on by itself, in a later run.

    Attributes:
        patience: for how many seconds waiting for this is no failure; None for ever.
    """

    def __init__(self, reason: str, *, patience: float | None = None) -> None:
        super().__init__(reason)
        self.patience = patience


class TroubleError(WaitingError):
    """As its parent, but something does not work that should; a person may want to know before patience ends."""


class IncompleteError(WaitingError):
    """What was fetched is not what a manifest lists: an apply is under way, or an object was changed by hand."""
