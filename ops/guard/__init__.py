"""Guard plans: what `terraform show -json` says is refused where it loses what cannot be brought back."""
