"""Services that send telemetry, as docs/telemetry.md has them: an API and a worker."""
