"""Rules for any project on DigitalOcean, by topic."""
