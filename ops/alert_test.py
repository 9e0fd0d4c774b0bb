"""Ask an environment for a test alert, and wait for its receipt: `presence360 alerts test` (docs/observability.md).

What is asked for is an object in the observability group's configuration bucket, and the receipt one in its status
bucket (model/alert_receipt.py). Nobody logs in.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from model.alert_receipt import RECEIPT, SECONDS, Receipt, parse_receipt, request_json, request_key
from model.contract import ContractError
from model.plan import EnvironmentPlan
from model.runs import FRESH_SECONDS
from ops.credentials import check_spaces
from ops.digitalocean import MaybeWrittenError, Spaces
from ops.errors import OperationError, UsageError
from ops.waiting import SYSTEM_CLOCK, CannotTellError, Clock, TryAgainError

POLL_SECONDS = 3.0
LATE_SECONDS = 60
"""A droplet writes the receipt within this after the alert had its time."""


@dataclass(frozen=True)
class AlertTest:
    """The observability group, and how its buckets are reached.

    Attributes:
        group: its name.
        config_bucket: where the request is written.
        status_bucket: where the receipt comes.
        spaces: the Spaces of the environment's region.
        clock: the clock.
    """

    environment: str
    group: str
    config_bucket: str
    status_bucket: str
    spaces: Spaces
    clock: Clock

    @classmethod
    def of(cls, plan: EnvironmentPlan, environ: Mapping[str, str], clock: Clock = SYSTEM_CLOCK) -> Self:
        """Return the observability group of an environment.

        Raises:
            UsageError: it has none, or a key is missing.
            OperationError: the address of Spaces is none.
        """
        for group in plan.groups:
            if group.observability:
                check_spaces(environ)
                try:
                    spaces = Spaces.of(environ, plan.network.region, clock)
                except CannotTellError as error:
                    raise OperationError(str(error)) from error
                config = group.config
                return cls(plan.name, group.group, config.bucket, config.status_bucket, spaces, clock)
        raise UsageError(
            [
                f"{plan.name} has no observability group, so nobody is told of anything. "
                "Add `observability:` to its environment.yaml (docs/observability.md)"
            ]
        )

    def receipt(self) -> Receipt | None:
        """Return the receipt of the last test; None if there is none that can be read.

        Raises:
            CannotTellError: the key may not read it.
            TryAgainError: Spaces did not answer.
        """
        content = self.spaces.read(self.status_bucket, RECEIPT)
        try:
            return None if content is None else parse_receipt(content)
        except ContractError:
            return None

    def send(self, *, by: str, say: Callable[[str], None]) -> Receipt:
        """Ask for a test alert, and wait for its receipt.

        Args:
            by: who asks.
            say: takes a line about what happens.

        Raises:
            OperationError: no droplet answered.
        """
        now = self.clock.time()
        test_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        self._ask(test_id, request_json(by, now), say)
        try:
            say(f"{test_id}: asked for; messages arrive within about 3 minutes")
            return self._wait(test_id)
        except (CannotTellError, TryAgainError) as error:
            raise OperationError(f"{test_id}: {error}") from error
        finally:
            self._forget(test_id, say)

    def _ask(self, test_id: str, request: bytes, say: Callable[[str], None]) -> None:
        """Write the request; what was not written is not removed either."""
        try:
            self.spaces.write(self.config_bucket, request_key(test_id), request)
        except MaybeWrittenError as error:
            self._forget(test_id, say)
            raise OperationError(
                f"{test_id}: nobody knows whether the request was written: {error}. If it was, messages may arrive"
            ) from error
        except (CannotTellError, TryAgainError) as error:
            raise OperationError(f"{test_id}: the request was not written: {error}") from error
        except KeyboardInterrupt:
            self._forget(test_id, say)
            raise

    def _wait(self, test_id: str) -> Receipt:
        began = self.clock.now()
        while self.clock.now() - began <= FRESH_SECONDS + SECONDS + LATE_SECONDS:
            self.clock.sleep(POLL_SECONDS)
            try:
                receipt = self.receipt()
            except TryAgainError:
                continue
            if receipt and receipt.id == test_id:
                return receipt
        raise OperationError(
            f"{test_id}: no droplet of {self.group} left a receipt within "
            f"{(FRESH_SECONDS + SECONDS + LATE_SECONDS) // 60} minutes: presence360 status {self.environment}, and on "
            "the droplet `journalctl -u presence360-alert-test`"
        )

    def _forget(self, test_id: str, say: Callable[[str], None]) -> None:
        """Remove the request: it expires, but a bucket that is looked into should show what is asked for now."""
        try:
            self.spaces.delete(self.config_bucket, request_key(test_id))
        except (CannotTellError, TryAgainError):
            say(f"{test_id}: the request was not removed; if it is there, it expires by itself")
