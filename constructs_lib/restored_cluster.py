"""A cluster that DigitalOcean makes from a backup of another one, for the restore drill."""

import json

from cdktf import TerraformLocal, TerraformVariable, TerraformVariableValidationConfig
from cdktf_cdktf_provider_digitalocean.data_digitalocean_database_ca import DataDigitaloceanDatabaseCa
from cdktf_cdktf_provider_digitalocean.data_digitalocean_tag import DataDigitaloceanTag
from cdktf_cdktf_provider_digitalocean.data_digitalocean_vpc import DataDigitaloceanVpc
from cdktf_cdktf_provider_digitalocean.database_cluster import DatabaseClusterBackupRestore
from cdktf_cdktf_provider_digitalocean.tag import Tag
from constructs import Construct

from constructs_lib.lifecycle import DISPOSABLE_CLUSTER
from constructs_lib.postgres import administration, postgres_cluster, postgres_settings
from constructs_lib.project import Project
from constructs_lib.site import Site
from constructs_lib.terraform_text import address
from model.data import ClusterPlan
from model.drill_time import FORK_MINUTES
from model.restore_drill import BACKUP, FORK_DAY, FORK_HOUR, FORKED, RestoreDrillPlan


class RestoredCluster(Construct):
    """The fork: of the source's version and size, in the environment's network, open to the control group alone.

    Which cluster is forked, and from which of its backups, are Terraform variables: the clusters take turns, and the
    stack that is synthesized stays the same.

    Attributes:
        administration: an expression, without `${}`, for what the drill connects with; sensitive.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, plan: RestoreDrillPlan, project: Project
    ) -> None:
        super().__init__(scope, construct_id)
        known = TerraformLocal(
            self,
            "sources",
            {
                key: {"cluster": one.cluster, "size": one.size, "version": one.version}
                for key, one in plan.sources.items()
            },
        )
        _variable(
            self,
            FORKED,
            "The cluster that is forked, by the operators' name for it.",
            next(iter(plan.sources)),
            TerraformVariableValidationConfig(
                # Of a variable, only itself can be asked for here before Terraform 1.9.
                condition=f"${{contains({json.dumps(list(plan.sources))}, var.forked_cluster)}}",
                error_message=f"The clusters that can be forked are {', '.join(plan.sources)}.",
            ),
        )
        _variable(self, BACKUP, "The time of the backup, as DigitalOcean lists it; left out, the newest.", "")
        chosen = f"{address(known)}[var.forked_cluster]"
        site = Site(
            vpc_id=DataDigitaloceanVpc(self, "vpc", name=plan.vpc).id,
            project_id=project.id,
            environment_tag=Tag(self, "tag", name=plan.name).name,
            group_tags={plan.group: DataDigitaloceanTag(self, "tag-group", name=plan.client_tag).name},
        )
        forked = ClusterPlan(
            key="fork",
            name=plan.name,
            region=plan.region,
            # The same: a smaller one may not hold the data, and another version would be a migration.
            size=f"${{{chosen}.size}}",
            nodes=1,
            version=f"${{{chosen}.version}}",
            day=FORK_DAY,
            hour=FORK_HOUR,
            client_groups=(plan.group,),
        )
        cluster = postgres_cluster(
            self,
            site,
            forked,
            lifecycle=DISPOSABLE_CLUSTER,
            create_minutes=FORK_MINUTES,
            restore=DatabaseClusterBackupRestore(
                database_name=f"${{{chosen}.cluster}}",
                backup_created_at='${var.backup == "" ? null : var.backup}',
            ),
        )
        postgres_settings(self, cluster.id, site, forked)
        authority = DataDigitaloceanDatabaseCa(self, "ca", cluster_id=cluster.id)
        self.administration = administration('"fork"', cluster.fqn, f"{authority.fqn}.certificate")


def _variable(
    scope: Construct,
    name: str,
    description: str,
    default: str,
    validation: TerraformVariableValidationConfig | None = None,
) -> None:
    variable = TerraformVariable(
        scope,
        name,
        type="string",
        nullable=False,
        default=default,
        description=description,
        validation=[validation] if validation else None,
    )
    variable.override_logical_id(name)
