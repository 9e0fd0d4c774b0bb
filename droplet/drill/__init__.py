"""presence360-drill: what a cluster's backup and our dumps are worth, tried on a fork that is thrown away.

Runs on the droplets of the control group, one of which works. An operator or the weekly workflow (`presence360 drill`)
makes the fork, asks by an object of the group's bucket, and reads the report. No live database is touched: everything
happens on the fork. docs/drill.md explains it.
"""

from droplet.drill.command import main

__all__ = ["main"]
