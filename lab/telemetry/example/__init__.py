"""Services that do nothing but send telemetry, by the modules of lab/services/backend that every service copies."""
