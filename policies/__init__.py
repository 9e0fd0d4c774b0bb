"""Rules for stacks on DigitalOcean, run by checkov: `python -m policies cdktf.out/stacks` (docs/policies.md)."""
