"""Who can reach whom over the network: every path that the rules of an environment allow.

`facts` says what rules are, `planned` reads them from an environment's plans, `paths` follows them. `ops/reach` reads
the same facts from Terraform JSON and compares: what only the JSON has is a path that nobody decided on.
"""
