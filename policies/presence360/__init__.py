"""Rules that hold in Presence360 only: its names, its tenants, its droplets."""
