"""The policies for any project: importing this registers them alone."""

from policies.policy import PACK
from policies.rules import across as _across
from policies.rules import certificates as _certificates
from policies.rules import databases as _databases
from policies.rules import dns as _dns
from policies.rules import droplets as _droplets
from policies.rules import firewalls as _firewalls
from policies.rules import load_balancers as _load_balancers
from policies.rules import monitoring as _monitoring
from policies.rules import projects as _projects
from policies.rules import protection as _protection
from policies.rules import secrets as _secrets
from policies.rules import spaces as _spaces
from policies.rules import state as _state

__all__ = ["MODULES", "PACK"]

MODULES = (
    _load_balancers, _certificates, _droplets, _firewalls, _databases, _protection, _spaces, _dns, _monitoring,
    _projects, _state, _secrets, _across,
)  # fmt: skip
"""In the order of docs/policies.md."""
