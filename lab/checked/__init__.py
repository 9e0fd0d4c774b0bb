"""An environment at the local DigitalOcean, with what answers for it, and each line of the check broken once."""
