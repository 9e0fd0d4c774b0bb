"""The whole pack: importing this registers every policy, the general ones and Presence360's own."""

from policies import general
from policies.policy import PACK
from policies.presence360 import buckets, platform, service_secrets, tenants, unseen

__all__ = ["MODULES", "PACK"]

MODULES = (*general.MODULES, platform, tenants, buckets, service_secrets, unseen)
"""In the order of docs/policies.md."""
