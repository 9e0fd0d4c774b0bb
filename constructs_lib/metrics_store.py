"""What the observability group keeps beside its droplet: a volume with the metrics, a bucket with their backups."""

from cdktf import Token
from cdktf_cdktf_provider_digitalocean.spaces_key import SpacesKey, SpacesKeyGrant
from cdktf_cdktf_provider_digitalocean.volume import Volume
from cdktf_cdktf_provider_digitalocean.volume_attachment import VolumeAttachment
from constructs import Construct

from constructs_lib.lifecycle import KEEP
from constructs_lib.network import Network
from constructs_lib.operator_secrets import OperatorSecrets
from constructs_lib.private_bucket import versioned_bucket
from constructs_lib.terraform_text import address, string
from constructs_lib.valkey import ValkeyCluster
from model.bucket_access import SERVICE_KEYS, Bucket
from model.naming import spaces_endpoint
from model.observability import ObservabilityPlan

# A backup replaces what changed of the one before; what it removed is a way back for as long.
NONCURRENT_DAYS = 3


class MetricsStore(Construct):
    """The volume and the bucket.

    Attributes:
        urns: what is assigned to the project.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: ObservabilityPlan, network: Network
    ) -> None:
        super().__init__(scope, construct_id)
        self._plan = plan
        bucket = versioned_bucket(
            self, "backups", name=plan.bucket, region=plan.region, noncurrent_days=NONCURRENT_DAYS
        )
        self._key = SpacesKey(
            self,
            "writer",
            name=plan.bucket,
            grant=[SpacesKeyGrant(bucket=bucket.name, permission=SERVICE_KEYS[Bucket.METRICS])],
        )
        self._volume = self._make_volume(plan, network) if plan.volume else None
        self.urns = [bucket.urn, *([self._volume.urn] if self._volume else [])]

    def _make_volume(self, plan: ObservabilityPlan, network: Network) -> Volume:
        return Volume(
            self,
            "volume",
            name=str(plan.volume),
            region=plan.region,
            size=plan.volume_gib,
            description="Metrics of the environment. Its file system is made by the first droplet that has it.",
            tags=[network.environment_tag],
            lifecycle=KEEP,
        )

    def attach(self, droplet_id: str) -> None:
        """Attach the volume to the group's droplet.

        The group's droplets are replaced new before old, and a volume is attached to one. This has no
        `create_before_destroy`, and nothing that has it depends on this: so Terraform detaches the volume from the old
        droplet, at once, beside making the new one; attaches it to the new one as soon as that is there; and destroys
        the old one after the new one serves (rehearsed: `metrics-volume`). To the old droplet's file system the
        detachment is what a power cut is: ext4 replays its journal, and the store loses at most the last seconds
        (docs/observability.md, "The volume").
        """
        if self._volume:
            VolumeAttachment(
                self, "attachment", droplet_id=Token.as_number(droplet_id), volume_id=self._volume.id
            )

    def secrets(self, secrets: OperatorSecrets, valkey: ValkeyCluster) -> str:
        """Return an expression, without `${}`, for what the group's programs may know and nobody else."""
        key = address(self._key)
        backup = (
            f"{{ endpoint = {string(spaces_endpoint(self._plan.region))}, bucket = {string(self._plan.bucket)}, "
            f"access_key = {key}.access_key, secret_key = {key}.secret_key }}"
        )
        given = "".join(
            f"{name.lower()} = {secrets.expression(variable)}, "
            for name, variable in sorted(self._plan.secrets.items())
        )
        return f"{{ {given}backup = {backup}, valkey = {valkey.connection} }}"
