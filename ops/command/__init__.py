"""The command `presence360`: one module a noun. The work is done by the functions of `ops/`."""
