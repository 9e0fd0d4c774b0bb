#!/bin/sh
# The Terraform that bin/cdktf gives the cdktf CLI. An apply and a destroy go through the plan guard
# (ops/guarded_terraform.py); every other command is the operator's own Terraform, unchanged and without delay.
set -eu
terraform=${PRESENCE360_TERRAFORM:?names no Terraform: run this through bin/cdktf}
# `cdktf diff` leaves its plan in the stack's folder, and bootstrap its state in a file: both hold secrets.
umask 077
case ${1-} in
apply | destroy) ;;
*) exec "$terraform" "$@" ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
# The CLI has changed into the stack's folder, which has to stay the working directory: so no `python -m`.
exec "$root/.venv/bin/python" -P -c '
import sys
sys.path.insert(0, sys.argv.pop(1))
from ops.guarded_terraform import main
sys.exit(main(sys.argv[1:]))
' "$root" "$@"
