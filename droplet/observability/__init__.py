"""The observability droplet: the configuration of what keeps metrics and sends alerts, backups, and the way back.

observability configure     check what the bucket says, install it, start and reload what reads it
observability backup        copy the metrics to Spaces
observability restore       bring them back, into an empty folder
observability test          send the test alert that an operator asks for, and leave a receipt
"""

from droplet.observability.command import main

__all__ = ["main"]
