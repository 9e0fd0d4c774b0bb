"""A stateful stand-in for the part of DigitalOcean's API that the stacks use, on loopback.

`python -m lab.local_digitalocean` serves it. docs/rehearsal.md says what is faithful, what is not, and how to
switch delays, limits and faults.
"""
