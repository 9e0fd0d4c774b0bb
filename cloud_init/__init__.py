"""User data: rendered from a plan, pure."""
