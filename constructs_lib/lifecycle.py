"""The lifecycles that resources have here, by what they hold."""

from cdktf import TerraformResourceLifecycle

# What holds people's data: no plan may destroy it.
KEEP = TerraformResourceLifecycle(prevent_destroy=True)

# What serves: the new one is there before the old one goes.
REPLACE_WITHOUT_GAP = TerraformResourceLifecycle(create_before_destroy=True)

# A cluster that is moved between projects by hand would be planned for destruction: project_id forces replacement.
KEEP_CLUSTER = TerraformResourceLifecycle(prevent_destroy=True, ignore_changes=["project_id"])

# Of the restore drill: a copy that is thrown away.
DISPOSABLE_CLUSTER = TerraformResourceLifecycle(ignore_changes=["project_id"])

# A retired tenant's cluster: it is destroyed when the tenant's entry is removed.
RETIRED_CLUSTER = TerraformResourceLifecycle(ignore_changes=["project_id"])
