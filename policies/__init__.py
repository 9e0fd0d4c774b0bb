"""Rules that every synthesized stack must keep, run by checkov: `python -m policies cdktf.out/stacks`."""
