"""Why a run ends without running what the bucket says."""


class ConvergeError(Exception):
    """What the bucket says cannot run here; the droplet stays as it is."""


class CommandError(ConvergeError):
    """A program failed."""


class HeldError(ConvergeError):
    """The bucket still says what failed before."""


class WaitingError(ConvergeError):
    """A checked release waits for this droplet's turn."""
