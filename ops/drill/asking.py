"""What is asked of the control group, what is sent to it, and what it says: by objects of the group's buckets."""

import json
import secrets
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model.contract import ContractError
from model.drill_status import DrillStatus, parse_status, said_key, sent_key, sent_keys
from model.drill_time import LAST_MINUTES
from model.restore_drill import EXCHANGE, REQUEST_KEY
from ops.bucket import Bucket
from ops.errors import OperationError
from ops.waiting import SYSTEM_CLOCK, Clock

AGE = "age"
POLL_SECONDS = 3.0
BEGIN_SECONDS = 900
"""A droplet fetches its bucket each minute, and looks for a drill each minute."""
SILENT_SECONDS = 1800
"""A droplet says each five minutes that it goes on (droplet/drill/run.py)."""
AT_WORK = frozenset({"waiting", "running"})
"""What a droplet says of a run that has not ended."""
RECENT_SECONDS = 900
"""Three times that; an older word is of a droplet that is gone."""


@dataclass
class Asking:
    """One run.

    Attributes:
        run_id: names it everywhere.
        config: the control group's configuration bucket, which only operators write.
        status: its status bucket, which its droplets write.
        age: the program that encrypts.
        clock: the clock.
        check: raises where this run is to end, as when another one has taken over.
    """

    run_id: str
    config: Bucket
    status: Bucket
    age: str = AGE
    clock: Clock = SYSTEM_CLOCK
    check: Callable[[], None] = lambda: None
    _answered: set[str] = field(default_factory=set)

    def ask(self, request: Mapping[str, Any]) -> None:
        """Ask for the drill.

        Raises:
            OperationError: the request was not written.
        """
        self.config.write(
            REQUEST_KEY, json.dumps({"version": 1, "id": self.run_id, **request}, indent=1).encode()
        )

    def follow(self, sent: Mapping[str, Any], hours: int, say: Callable[[str], None]) -> DrillStatus:
        """Send what the run needs to the key that it made, and wait until it has ended.

        Raises:
            OperationError: no droplet began, none says anything any more, or this run is to end.
        """
        began = self.clock.now()
        heard, told, last = began, "", ""
        while True:
            self.check()
            status = self._status()
            if status and status.time.isoformat() != last:
                heard, last = self.clock.now(), status.time.isoformat()
            if status and status.recipient and status.recipient not in self._answered:
                say(f"{status.droplet} has made a key for this run; sending it what it needs")
                self._send(status.recipient, sent)
            if status and status.state == "running":
                # It has read it.
                self._erase()
                line = f"{status.done} of {status.of} databases, {status.failed} with something wrong"
                if line != told:
                    told = line
                    say(line)
            if status and status.state == "ended":
                return status
            now = self.clock.now()
            if status is None and now - began > BEGIN_SECONDS:
                raise OperationError(
                    f"no droplet of the control group began within {BEGIN_SECONDS // 60} minutes: presence360 status, "
                    "and `journalctl -u presence360-drill` on a droplet of it"
                )
            if now - heard > SILENT_SECONDS + BEGIN_SECONDS or now - began > 3600 * hours + 60 * LAST_MINUTES:
                raise OperationError("the droplet that tries says nothing any more: its journal says why")
            self.clock.sleep(POLL_SECONDS)

    def forget(self) -> None:
        """Remove the question and what was sent; what the droplet said expires by itself."""
        self.config.erase(REQUEST_KEY)
        self._erase()

    def at_work(self, but: str = "") -> str:
        """Say which run goes on, by what droplets said lately; nothing if none does.

        Args:
            but: a run that does not count.

        Raises:
            OperationError: the bucket cannot be read.
        """
        for key in self.status.keys(f"{EXCHANGE}/"):
            name = key.removeprefix(f"{EXCHANGE}/").removesuffix(".json")
            found = self.status.read_dated(key) if key == said_key(name) and name != but else None
            status = self._parsed(found.content, name) if found else None
            if found is None or status is None or status.state not in AT_WORK:
                continue
            # By the clock of Spaces: what a droplet's, or this machine's, says is not compared.
            ago = found.ago.total_seconds()
            if ago < RECENT_SECONDS:
                return f"{status.droplet} said {ago / 60:.0f} minutes ago that the drill {name} is {status.state}"
        return ""

    def _status(self) -> DrillStatus | None:
        content = self.status.read(said_key(self.run_id))
        return None if content is None else self._parsed(content, self.run_id)

    @staticmethod
    def _parsed(content: bytes, name: str) -> DrillStatus | None:
        try:
            return parse_status(content, name)
        except ContractError:
            # A droplet wrote it: what is none is as good as nothing.
            return None

    def _send(self, recipient: str, sent: Mapping[str, Any]) -> None:
        try:
            done = subprocess.run(
                [self.age, "--encrypt", "--armor", "--recipient", recipient],
                input=json.dumps(sent).encode(),
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise OperationError("age is not installed: Debian's and Ubuntu's package `age`") from None
        if done.returncode != 0:
            raise OperationError("age did not encrypt what is sent to the droplet")
        self.status.write(sent_key(self.run_id, recipient), done.stdout)
        self._answered.add(recipient)

    def _erase(self) -> None:
        """Delete every version of what was sent: the status bucket keeps earlier ones for a day."""
        self.status.erase(sent_keys(self.run_id))


def run_id(now: datetime) -> str:
    """Name a run."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
