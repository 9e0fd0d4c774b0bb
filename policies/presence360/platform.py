"""What every stack of Presence360 has in common: Debian 13, one provider, one health path, its names."""

import re
from collections.abc import Iterator

from model.naming import PRODUCT
from policies.policy import ALL, WRITTEN, Section, Severity, each, whole_stack
from policies.rules.databases import CLUSTER
from policies.rules.droplets import MACHINES, machine, user_data
from policies.rules.load_balancers import BALANCER
from policies.stack import Resource, Stack
from policies.values import block, is_literal

HEALTH_PATH = "/healthz"
IMAGE = "debian-13-x64"
METADATA = re.compile(r"chain forward \{[^}]*ip daddr 169\.254\.0\.0/16 [^}]*\bdrop\b", re.DOTALL)
NAMED = (
    "digitalocean_vpc", "digitalocean_project", "digitalocean_tag", "digitalocean_droplet", "digitalocean_loadbalancer",
    "digitalocean_firewall", "digitalocean_database_cluster", "digitalocean_certificate", "digitalocean_ssh_key",
    "digitalocean_volume", "digitalocean_uptime_check", "digitalocean_uptime_alert",
)  # fmt: skip


@each(
    BALANCER, 103, Severity.HIGH, "Load balancers ask droplets for /healthz",
    "Set healthcheck.path = /healthz, which presence360-health answers for all services of the droplet.",
    section=Section.MONITORING,
)  # fmt: skip
def healthz(balancer: Resource) -> Iterator[str]:
    """The path that presence360-health answers."""
    path = block(balancer.body, "healthcheck").get("path")
    if path != HEALTH_PATH:
        yield f"healthcheck.path is {path!r}; set {HEALTH_PATH}"


@each(
    MACHINES, 104, Severity.HIGH, "Droplets run Debian 13",
    "Set image = debian-13-x64: user data, programs and their tests are for this release.",
    section=Section.COMPUTE,
)  # fmt: skip
def debian_13(resource: Resource) -> Iterator[str]:
    """docs/decisions/0005-debian-13.md."""
    image = machine(resource).get("image")
    if image != IMAGE:
        yield f"image is {image!r}; set {IMAGE}"


@whole_stack(
    105, Severity.MEDIUM, "DigitalOcean's provider is the only one",
    "Do without another provider: CI needs no path to a database, and no further credentials.",
    section=Section.ENVIRONMENTS, shapes=ALL,
)  # fmt: skip
def one_provider(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """docs/decisions/0002-one-provider.md."""
    for resource in stack.resources.values():
        fine = resource.type.startswith("digitalocean_") or resource.type == "terraform_data"
        yield resource, [] if fine else [f"{resource.type} is of another provider"]


@each(
    MACHINES, 106, Severity.CRITICAL, "Containers cannot read a droplet's metadata",
    "Keep the rule in user data's firewall.nft that drops what is forwarded to 169.254.0.0/16.",
    section=Section.SECRETS, shapes=WRITTEN,
)  # fmt: skip
def metadata_closed(resource: Resource, stack: Stack) -> Iterator[str]:
    """A service that is made to fetch an address gets no user data, which has the key of the group's bucket."""
    if not METADATA.search(user_data(resource, stack)):
        yield "user_data has no nftables rule that drops what containers send to 169.254.0.0/16"


@each(
    MACHINES, 107, Severity.HIGH, "Droplets turn password login off",
    "Keep ssh_pwauth: false and PasswordAuthentication no in user data: an image may have it on.",
    section=Section.NETWORK, shapes=WRITTEN,
)  # fmt: skip
def passwords_off(resource: Resource, stack: Stack) -> Iterator[str]:
    """It is not left to the image."""
    text = user_data(resource, stack)
    for line in ("ssh_pwauth: false", "PasswordAuthentication no"):
        if line not in text:
            yield f"user_data has no line {line!r}"


@each(
    CLUSTER, 108, Severity.HIGH, "Clusters are Postgres or Valkey",
    "Use engine pg or valkey: isolation, migrations, alerts and the guard know no other.",
    section=Section.DATA,
)  # fmt: skip
def engines(cluster: Resource) -> Iterator[str]:
    """What the programs on the control group can look after."""
    if cluster["engine"] not in ("pg", "valkey"):
        yield f"engine is {cluster['engine']!r}; use pg or valkey"


@whole_stack(
    109, Severity.MEDIUM, "Names begin with the environment",
    "Take the name from model/naming.py.",
    section=Section.ENVIRONMENTS, shapes=WRITTEN,
)  # fmt: skip
def environment_first(stack: Stack) -> Iterator[tuple[Resource, list[str]]]:
    """Whose a resource is can be seen in the control panel, and no name is taken twice."""
    projects = [*stack.of("digitalocean_project"), *stack.data("digitalocean_project")]
    for environment in {str(project["name"]).removesuffix(f"-{PRODUCT}") for project in projects}:
        for resource in stack.of(*NAMED):
            name = str(resource["name"])
            fine = name == environment or name.startswith(f"{environment}-")
            yield resource, [] if fine else [f"name is {name!r}; begin it with {environment}-"]
        for bucket in stack.of("digitalocean_spaces_bucket"):
            start = f"{PRODUCT}-{environment}-"
            fine = not is_literal(bucket["name"]) or bucket["name"].startswith(start)
            yield bucket, [] if fine else [f"name is {bucket['name']!r}; begin it with {start}"]
