"""What operators and CI run."""
