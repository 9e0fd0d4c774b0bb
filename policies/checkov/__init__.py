"""What checkov loads: `--external-checks-dir policies/checkov/general`, or `all` with Presence360's own."""
