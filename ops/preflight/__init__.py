"""What has to be true at DigitalOcean, and in the image registry, before a plan can be applied."""
