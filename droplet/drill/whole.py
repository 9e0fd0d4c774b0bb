"""The fork as a whole: how old its backup is, and which databases are on it."""

from collections.abc import Mapping

from droplet.drill.dumps import Dumps
from droplet.drill.fork import Database, Fork
from droplet.drill.report import Report
from droplet.names import tenant_of


def judge(report: Report, fork: Fork, dumps: Dumps, there: Mapping[str, Database]) -> None:
    """Note what is wrong with the fork itself, whatever each of its databases is."""
    request = report.request
    if not fork.checksums:
        report.notes.append("the fork has no checksums of pages: damage may go unseen")
    if report.rpo_seconds > request.rpo_hours * 3600:
        report.problems.append(
            f"the newest backup was {report.rpo_seconds / 3600:.1f} hours old, and {request.rpo_hours} are allowed"
        )
    names = {one.name for one in request.databases}
    for name in sorted(names - there.keys()):
        if any(dump.at < request.backup for dump in dumps.of(name)):
            report.problems.append(f"{name} is not on the fork, and there is a dump from before the backup")
        else:
            report.notes.append(
                f"{name} is not on the fork: it has no dump from before the backup, so it is newer"
            )
    # Another generation of a church's database is beside the one that is served, while a dump is restored.
    churches = {tenant_of(name) for name in names}
    others = sorted(name for name in there if name.startswith("tenant_") and tenant_of(name) not in churches)
    if others:
        report.notes.append(
            f"{len(others)} databases on the fork are in no directory: {', '.join(others[:5])}"
        )
    if not names & there.keys():
        report.problems.append("no database that the directory names is on the fork")
