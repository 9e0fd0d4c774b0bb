"""A person reads one database, for a while: a login is made that an operator asked for, and that ends by itself.

`presence360 sql open` writes a request into the control group's configuration bucket. One droplet makes the login
`<database>_read_<8 digits of the request>`, encrypts its password for the key that the operator made, and says so in
the group's status bucket. The isolation job ends its sessions and drops it when its time is over.
docs/runbooks/break-glass.md has the steps.
"""

from droplet.sql.command import main

__all__ = ["main"]
