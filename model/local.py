"""An environment as a laptop runs it: every service in one group, under names that mean the laptop itself."""

from model.environment import Group
from model.loader import Environment
from model.plan import EnvironmentPlan, plan_environment

LOCAL = "local"

BASE_DOMAIN = "localtest.me"
"""A public domain that resolves, with every name below it, to 127.0.0.1: no hosts file to edit."""


def plan_local(environment: Environment) -> EnvironmentPlan:
    """Decide an environment again as if all of it were one droplet; only what is rendered has a meaning."""
    services = tuple(environment.file.releases)
    group = Group(services=services, size="s-1vcpu-1gb", replicas=1)
    update = {"environment": LOCAL, "base_domain": BASE_DOMAIN, "groups": {LOCAL: group}}
    file = environment.file.model_copy(update=update)
    return plan_environment(Environment(file, environment.tenants, ()))
