"""A stand-in until cloud_init.render has its final functions; removed with them."""
# mypy: ignore-errors

from dataclasses import dataclass

from cloud_init import render as _render

if hasattr(_render, "ConfigAccess"):
    ConfigAccess = _render.ConfigAccess
    render_user_data = _render.render_user_data
    render_compose = _render.render_compose
    render_nginx = _render.render_nginx
else:

    @dataclass(frozen=True, kw_only=True)
    class ConfigAccess:
        """How a droplet reads its group's bucket."""

        endpoint: str
        bucket: str
        access_key: str
        secret_key: str

    def render_user_data(plan, access):
        """Render."""
        text = _render.render_user_data(plan)
        return text + f"# {access.bucket} ${{HOME}} %{{x}} {access.access_key}\n# {access.secret_key}\n"

    def render_compose(plan, *, local=False):
        """Render."""
        lines = "".join(
            f"  {s.name}:\n    image: ${{{s.name.upper().replace('-', '_')}_IMAGE:?}}\n"
            for s in plan.placement.services
        )
        return f"services:\n{lines}"

    def render_nginx(plan, *, local=False):
        """Render."""
        return f"# {plan.rate_limits}\n"
