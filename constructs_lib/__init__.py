"""Resources: each construct turns one plan of the model into Terraform."""

from constructs_lib import _bindings as _bindings  # before anything that imports cdktf
