"""Isolate the tenants of one cluster: run cluster.sql, clear what it names, and visit the databases that it names."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from droplet import record
from droplet.configuration import Limits
from droplet.isolation.clear import clear
from droplet.isolation.late import take_back
from droplet.isolation.result import Result, Visit
from droplet.isolation.variables import FOLDER, variables_of
from droplet.names import ISOLATION_MARK
from droplet.postgres import Client
from droplet.session import Session, SessionError

PARALLEL_VISITS = 2
"""Connections at a time, beside the cluster's own: the smallest cluster has 22 for everybody."""

MET_ANOTHER = ("tuple concurrently updated", "duplicate key value", "already exists")
"""What the server says when another droplet's run visits the same database in the same moment: its visits may go on
when its lock is free again. The script does nothing twice, so it is run again."""

RIGHT = "right"
"""What database.sql prints when it has nothing to find fault with."""

CLUSTER_TIMEOUT_SECONDS = 600.0
VISIT_TIMEOUT_SECONDS = 60.0


def isolate(client: Client, limits: Limits, private: Path, *, full: bool) -> Result:
    """Run the scripts on one cluster.

    Args:
        client: reaches it as its administrator.
        limits: of its databases.
        private: a folder that only this user can read.
        full: visit every database.
    """
    result = Result(cluster=client.cluster)
    start = time.monotonic()
    variables = variables_of(limits, full=full, timeout=CLUSTER_TIMEOUT_SECONDS)

    def visit(wanted: Visit) -> tuple[int, str, str]:
        values = {**variables, **wanted._asdict()}
        answer = client.run_script(wanted.database, FOLDER / "database.sql", values, VISIT_TIMEOUT_SECONDS)
        if any(words in answer[2] for words in MET_ANOTHER):
            answer = client.run_script(
                wanted.database, FOLDER / "database.sql", values, VISIT_TIMEOUT_SECONDS
            )
        return answer

    script = FOLDER / "cluster.sql"
    result.take(*client.run_script(client.database, script, variables, CLUSTER_TIMEOUT_SECONDS))
    if result.clears or result.late:
        clear(client, result, private)
        take_back(client, result, private)
        # What it found before is not what is true now.
        result.begin_again()
        result.take(*client.run_script(client.database, script, variables, CLUSTER_TIMEOUT_SECONDS))
    elif result.open:
        take_back(client, result, private)
    _visit_all(client, result, visit, private)
    result.visited = len(result.visits)
    result.seconds = time.monotonic() - start
    return result


def _visit_all(
    client: Client, result: Result, visit: Callable[[Visit], tuple[int, str, str]], private: Path
) -> None:
    """Visit databases, and record in the administrator's own database which are right, each at once."""
    with ThreadPoolExecutor(max_workers=PARALLEL_VISITS) as pool, ExitStack() as stack:
        session: Session | None = None
        # In the order of the names, so that a run that is killed leaves the first ones done.
        for wanted, answer in zip(result.visits, pool.map(visit, result.visits), strict=True):
            result.take(*answer, database=wanted.database)
            if RIGHT not in answer[1].splitlines():
                continue
            try:
                if session is None:
                    session = stack.enter_context(Session(client, client.database, private))
                    # The next visit may take longer than a session may be idle.
                    session.lines("SET idle_session_timeout = 0;")
                record.write(session, wanted.database, ISOLATION_MARK, wanted.mark)
            except SessionError as error:
                session = None
                result.errors.append(str(error))
