"""Whether an environment is ready: the checklist of the architecture, live and by reading alone (docs/check.md)."""
