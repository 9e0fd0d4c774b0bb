"""Resources that the provider has and its bindings, which are frozen at 2.71.0, have not.

Each kind stands here with the release that brought it and where its arguments are described; nobody else writes a
resource by its name.
"""

from cdktf import TerraformIterator, TerraformResource
from constructs import Construct

from constructs_lib.terraform_text import literal
from model.addresses import LOG_SINK
from model.data import LogSinkPlan


def log_sink(
    scope: Construct, *, cluster_id: str, plan: LogSinkPlan, for_each: TerraformIterator | None = None
) -> TerraformResource:
    """Send a cluster's logs to a server of syslog's protocol, or with ``for_each`` those of each cluster of a map.

    Since 2.72.0; the provider's documentation, "digitalocean_database_logsink_rsyslog".
    """
    sink = TerraformResource(scope, "logs", terraform_resource_type=LOG_SINK, for_each=for_each)
    arguments = {
        "cluster_id": cluster_id,
        "name": plan.name,
        "server": plan.server,
        "port": plan.port,
        "format": "rfc5424",
        # DigitalOcean does not filter what it sends (API documentation, "Create Logsink").
        "tls": True,
        **({"ca_cert": literal(plan.authority)} if plan.authority else {}),
    }
    for name, value in arguments.items():
        sink.add_override(name, value)
    return sink
