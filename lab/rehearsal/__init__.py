"""Rehearse changes: real Terraform and the real provider, against a local DigitalOcean. See docs/rehearsal.md."""
