"""Who can reach whom: what Terraform would make, compared with what the model decides (model/reach), and drawn."""
