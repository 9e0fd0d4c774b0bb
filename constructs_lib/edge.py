"""The zone, the certificate and the load balancers: how requests from the internet come in."""

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_digitalocean.certificate import Certificate
from cdktf_cdktf_provider_digitalocean.domain import Domain
from cdktf_cdktf_provider_digitalocean.loadbalancer import (
    Loadbalancer,
    LoadbalancerForwardingRule,
    LoadbalancerHealthcheck,
)
from cdktf_cdktf_provider_digitalocean.record import Record
from constructs import Construct

from constructs_lib.lifecycle import KEEP, REPLACE_WITHOUT_GAP
from constructs_lib.network import Network
from constructs_lib.project import Project
from model.access import HEALTH_PATH, HTTPS_PORT
from model.edge import NAME_SERVERS, EdgePlan, LoadBalancerPlan
from model.hops import IDLE_SECONDS
from model.services import APEX, WILDCARD

# Short enough that a move to another load balancer is over in minutes.
RECORD_TTL_SECONDS = 300
# Delegations hardly ever change (DigitalOcean's own default for NS records).
DELEGATION_TTL_SECONDS = 1800

# DigitalOcean's managed certificates are Let's Encrypt's. The value ends in a dot, or the plan never settles.
CERTIFICATE_AUTHORITY = "letsencrypt.org."


class Edge(Construct):
    """One load balancer for each group that serves the public, and the names that point at it.

    Attributes:
        load_balancer_ids: by group name.
        load_balancer_addresses: by group name.
        zone_urn: what is assigned to the project.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: EdgePlan, network: Network, project: Project
    ) -> None:
        super().__init__(scope, construct_id)
        zone = Domain(self, "zone", name=plan.base_domain, lifecycle=KEEP)
        self._zone_id = zone.id
        authorities: list[ITerraformDependable] = [
            self._record(f"caa-{tag}", APEX, "CAA", CERTIFICATE_AUTHORITY, flags=0, tag=tag)
            for tag in ("issue", "issuewild")
        ]
        certificate = Certificate(
            self,
            "certificate",
            name=plan.certificate_name,
            type="lets_encrypt",
            domains=list(plan.certificate_domains),
            # Let's Encrypt answers for names in a zone of this account only, and checks the CAA records.
            depends_on=[zone, *authorities],
            lifecycle=REPLACE_WITHOUT_GAP,
        )
        balancers = {
            balancer.group: self._load_balancer(balancer, plan, certificate, network, project)
            for balancer in plan.load_balancers
        }
        self.load_balancer_ids = {group: balancer.id for group, balancer in balancers.items()}
        self.load_balancer_addresses = {group: balancer.ip for group, balancer in balancers.items()}
        for balancer in plan.load_balancers:
            for label in balancer.labels:
                self._record(_record_id(label), label, "A", self.load_balancer_addresses[balancer.group])
        for label in plan.delegations:
            for number, server in enumerate(NAME_SERVERS, start=1):
                self._record(f"ns-{label}-{number}", label, "NS", server, ttl=DELEGATION_TTL_SECONDS)
        self.zone_urn = zone.urn

    def _load_balancer(
        self,
        plan: LoadBalancerPlan,
        edge: EdgePlan,
        certificate: Certificate,
        network: Network,
        project: Project,
    ) -> Loadbalancer:
        return Loadbalancer(
            self,
            f"load-balancer-{plan.group}",
            name=plan.name,
            region=edge.region,
            size_unit=plan.size_units,
            vpc_uuid=network.vpc_id,
            project_id=project.id,
            network="EXTERNAL",
            droplet_tag=network.group_tags[plan.group],
            forwarding_rule=[
                LoadbalancerForwardingRule(
                    entry_port=443,
                    entry_protocol="https",
                    target_port=HTTPS_PORT,
                    target_protocol="https",
                    # By name: a renewal changes the certificate's id.
                    certificate_name=certificate.name,
                )
            ],
            redirect_http_to_https=True,
            tls_cipher_policy="STRONG",
            # The A records below are Terraform's; DigitalOcean would add its own beside them.
            disable_lets_encrypt_dns_records=True,
            enable_backend_keepalive=True,
            http_idle_timeout_seconds=IDLE_SECONDS,
            # 2 failures 5 s apart: a droplet that drains gets no more requests after about 10 s.
            healthcheck=LoadbalancerHealthcheck(
                protocol="https",
                port=HTTPS_PORT,
                path=HEALTH_PATH,
                check_interval_seconds=5,
                response_timeout_seconds=3,
                unhealthy_threshold=2,
                healthy_threshold=2,
            ),
        )

    def _record(
        self,
        construct_id: str,
        label: str,
        record_type: str,
        value: str,
        *,
        ttl: int = RECORD_TTL_SECONDS,
        flags: int | None = None,
        tag: str | None = None,
    ) -> Record:
        return Record(
            self,
            construct_id,
            domain=self._zone_id,
            name=label,
            type=record_type,
            value=value,
            ttl=ttl,
            flags=flags,
            tag=tag,
        )


def _record_id(label: str) -> str:
    """Return a construct id: ids keep letters, digits and hyphens only, and two labels are neither."""
    words = {WILDCARD: "wildcard", APEX: "apex"}
    return f"a-name-{label}" if label not in words else f"a-{words[label]}"
