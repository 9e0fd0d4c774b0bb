"""Droplets that all run the same services, and the firewall around them."""

from cdktf import ITerraformDependable, LocalExecProvisioner, TerraformLocal, TerraformResource
from cdktf_cdktf_provider_digitalocean.droplet import Droplet
from cdktf_cdktf_provider_digitalocean.droplet_autoscale import (
    DropletAutoscale,
    DropletAutoscaleConfigA,
    DropletAutoscaleDropletTemplate,
)
from cdktf_cdktf_provider_digitalocean.firewall import Firewall, FirewallInboundRule, FirewallOutboundRule
from constructs import Construct

from cloud_init.user_data import SpacesAccess, render_user_data
from constructs_lib.config_bucket import ConfigBucket
from constructs_lib.data_layer import DataLayer
from constructs_lib.edge import Edge
from constructs_lib.lifecycle import REPLACE_WITHOUT_GAP
from constructs_lib.network import Network
from constructs_lib.project import Project
from constructs_lib.terraform_text import literal
from model import access
from model.droplets import AutoscalePlan, DropletGroupPlan
from model.naming import generation, spaces_endpoint
from model.services import Store

# Docker, Compose and nginx come from Debian's own packages (docs/decisions/0005-debian-13.md).
IMAGE = "debian-13-x64"

# DigitalOcean API, autoscale_pools: 5 to 20 minutes. Long enough for a droplet to boot and take load.
COOLDOWN_MINUTES = 10

# Terraform runs in cdktf.out/stacks/<stack>; the program is a module of this checkout.
CHECKOUT = "../../.."
WAIT_PROGRAM = ("python3", "-m", "ops.wait_until_serving")

# They stand in the rendered text where Terraform puts the two halves of the group's key.
_ACCESS_KEY = "KEY-OF-THE-GROUP"
_SECRET_KEY = "OTHER-HALF-OF-THAT-KEY"  # noqa: S105 (no secret: a mark in a text)


class DropletGroup(Construct):
    """A fixed number of droplets or a pool that follows the load; found by tag, never by address.

    Attributes:
        droplet_ids: in the order of the plan; empty for a pool.
        droplet_urns: what is assigned to the project; a pool assigns its droplets itself.
        public_addresses: by droplet name, for SSH; empty for a pool, whose droplets come and go.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        plan: DropletGroupPlan,
        network: Network,
        project: Project,
        edge: Edge,
        data: DataLayer,
        config: ConfigBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        text = _user_data(plan)
        # Written once for all droplets of the group: it is the longest text of a stack by far.
        user_data = TerraformLocal(
            self,
            "user-data",
            literal(text).replace(_ACCESS_KEY, config.access_key).replace(_SECRET_KEY, config.secret_key),
        ).as_string
        firewall = self._firewall(plan, network, edge, data)
        droplets = {
            name: Droplet(
                self,
                str(number),
                name=generation(name, text, IMAGE, *network.ssh_public_keys),
                image=IMAGE,
                region=plan.region,
                size=plan.size,
                vpc_uuid=network.vpc_id,
                ssh_keys=network.ssh_key_fingerprints,
                tags=network.tags_of(plan.placement),
                user_data=user_data,
                monitoring=True,
                # The web console's agent is a second way in that the firewall does not see.
                droplet_agent=False,
                graceful_shutdown=True,
                # Only for a droplet that somebody resized by hand: a larger disk cannot be made smaller again. A
                # change of size in the file replaces droplets (`_user_data`).
                resize_disk=False,
                # The firewall applies by tag, so a droplet that comes after it is never on the network
                # without it. What a droplet fetches at its first boot exists before it.
                depends_on=[firewall, *config.objects],
                lifecycle=REPLACE_WITHOUT_GAP,
            )
            for number, name in enumerate(plan.droplet_names, start=1)
        }
        serving = [
            self._wait(f"serving-{number}", droplet.name, ["--droplet"], droplet.id, plan, edge)
            for number, droplet in enumerate(droplets.values(), start=1)
        ]
        if plan.autoscale:
            pool = self._pool(plan, plan.autoscale, user_data, network, project, [firewall, *config.objects])
            what = ["--least", str(plan.autoscale.minimum), "--pool"]
            serving.append(self._wait("serving-pool", pool.name, what, pool.id, plan, edge))
        self._hold_back(serving)
        self.droplet_ids = [droplet.id for droplet in droplets.values()]
        self.droplet_urns = [droplet.urn for droplet in droplets.values()]
        self.public_addresses = {name: droplet.ipv4_address for name, droplet in droplets.items()}

    def _pool(
        self,
        plan: DropletGroupPlan,
        autoscale: AutoscalePlan,
        user_data: str,
        network: Network,
        project: Project,
        depends_on: list[ITerraformDependable],
    ) -> DropletAutoscale:
        return DropletAutoscale(
            self,
            "pool",
            name=plan.name,
            config=DropletAutoscaleConfigA(
                min_instances=autoscale.minimum,
                max_instances=autoscale.maximum,
                target_cpu_utilization=autoscale.cpu,
                cooldown_minutes=COOLDOWN_MINUTES,
            ),
            droplet_template=DropletAutoscaleDropletTemplate(
                image=IMAGE,
                region=plan.region,
                size=plan.size,
                vpc_uuid=network.vpc_id,
                project_id=project.id,
                ssh_keys=network.ssh_key_fingerprints,
                tags=network.tags_of(plan.placement),
                user_data=user_data,
                # For a pool this is the metrics agent, without which it cannot follow the load.
                with_droplet_agent=True,
            ),
            depends_on=depends_on,
            # No attribute forces a new pool (provider 2.99.1), so this orders its destruction alone: replicas that
            # take its place serve first.
            lifecycle=REPLACE_WITHOUT_GAP,
        )

    def _wait(
        self,
        construct_id: str,
        name: str,
        what: list[str],
        identifier: str,
        plan: DropletGroupPlan,
        edge: Edge,
    ) -> TerraformResource:
        """Hold the destruction of what a new droplet or pool replaces back until that serves.

        Terraform destroys what `create_before_destroy` left behind after everything that depends on the
        successor is done; this resource depends on it, and is done when the program ends. When the program gives up,
        the deploy fails and the old droplet stays. A change of a pool replaces no pool: DigitalOcean replaces its
        droplets by itself, and nothing here can hold that back.
        """
        config = plan.config
        how = ["--status", config.status_bucket, "--region", config.region]
        if plan.placement.public:
            how += ["--load-balancer", edge.load_balancer_ids[plan.group]]
        # Not cdktf's DataResource, which asks for the version of an installed Terraform at each synth.
        serving = TerraformResource(
            self,
            construct_id,
            terraform_resource_type="terraform_data",
            provisioners=[
                LocalExecProvisioner(
                    type="local-exec",
                    # No shell: the command is the last argument.
                    interpreter=[*WAIT_PROGRAM, "--name", name, *how, *what],
                    command=identifier,
                    working_dir=CHECKOUT,
                )
            ],
            lifecycle=REPLACE_WITHOUT_GAP,
        )
        kind = "pool" if plan.autoscale else "droplet"
        serving.add_override("triggers_replace", {kind: identifier})
        return serving

    def _hold_back(self, serving: list[TerraformResource]) -> None:
        """Order the change from replicas to a pool, and back: what goes is destroyed after what comes serves.

        Nothing that stays depends on both. This does: in the state on what goes, in the configuration on what
        comes. Terraform changes it after the one, and destroys the other after it.
        """
        all_serving = TerraformResource(
            self, "serving", terraform_resource_type="terraform_data", lifecycle=REPLACE_WITHOUT_GAP
        )
        all_serving.add_override("input", [f"${{{one.fqn}.id}}" for one in serving])

    def _firewall(self, plan: DropletGroupPlan, network: Network, edge: Edge, data: DataLayer) -> Firewall:
        return Firewall(
            self,
            "firewall",
            name=plan.name,
            # One tag, the group's: the rules of two firewalls on one droplet would add up.
            tags=[network.group_tags[plan.group]],
            inbound_rule=[_inbound(rule, plan.group, edge, network) for rule in plan.inbound],
            outbound_rule=[_outbound(rule, data) for rule in plan.outbound],
        )


def _user_data(plan: DropletGroupPlan) -> str:
    """Render the group's user data with marks for what only Terraform knows, and with the droplets' size.

    DigitalOcean switches a droplet off to change its size (API documentation, droplet action `resize`), and Terraform
    would do so with all droplets of a group at once. With another user data it makes successors first.
    """
    endpoint = spaces_endpoint(plan.config.region)
    access = SpacesAccess(endpoint=endpoint, access_key=_ACCESS_KEY, secret_key=_SECRET_KEY)
    return f"{render_user_data(plan, access)}# Droplets of {plan.size}.\n"


def _inbound(rule: access.Inbound, group: str, edge: Edge, network: Network) -> FirewallInboundRule:
    protocol, port = rule.protocol, str(rule.port)
    match rule.source:
        case access.Source.ADMINISTRATORS:
            return FirewallInboundRule(protocol=protocol, port_range=port, source_addresses=list(rule.cidrs))
        case access.Source.ENVIRONMENT:
            return FirewallInboundRule(
                protocol=protocol, port_range=port, source_tags=[network.environment_tag]
            )
        case access.Source.LOAD_BALANCER:
            return FirewallInboundRule(
                protocol=protocol,
                port_range=port,
                source_load_balancer_uids=[edge.load_balancer_ids[group]],
            )


def _outbound(rule: access.Outbound, data: DataLayer) -> FirewallOutboundRule:
    port = data.ports[rule.port] if isinstance(rule.port, Store) else str(rule.port)
    return FirewallOutboundRule(
        protocol=rule.protocol, port_range=port, destination_addresses=list(rule.cidrs)
    )
