"""What tests and rehearsals stand on: the local DigitalOcean, local Postgres servers, the rehearsal, benchmarks."""
