"""How long a restore drill may take, part by part: all of it, and its clean-up, fits into one job of GitHub's."""

JOB_MINUTES = 360
"""Of a job on a runner of GitHub's (its documentation, "Actions limits": 6 hours), as the workflow restore-drill.yml
has it. What is over it is cancelled, and five minutes later ended ("Workflow cancellation reference")."""

SETUP_MINUTES, CLEANING_MINUTES = 10, 20
"""Before the drill's own step of that job, and after it: a step that is too late is ended before the job is."""

STEP_MINUTES = JOB_MINUTES - SETUP_MINUTES - CLEANING_MINUTES
"""Of the drill's own step."""

FORK_MINUTES = 120
"""That DigitalOcean may take to make the fork: it copies the data. The provider gives an empty cluster 30 (its
database/resource_database_cluster.go), and leaves one that takes longer running, in nobody's state."""

LAST_MINUTES = 75
"""After the drill's own hours: the last database may take 60 more (LONGEST_SECONDS of droplet/drill/run.py), and a
droplet begins within 15 (BEGIN_SECONDS of ops/drill/asking.py)."""

END_MINUTES = 10
"""To destroy the fork."""

MOST_HOURS = (STEP_MINUTES - FORK_MINUTES - LAST_MINUTES - END_MINUTES) // 60
"""Of `backups.drill.hours`."""


def most_minutes(hours: int) -> int:
    """Return how long a drill takes at most, from its beginning until nothing of it is left."""
    return FORK_MINUTES + 60 * hours + LAST_MINUTES + END_MINUTES
