"""What runs on droplets: the standard library of Debian 13's Python, and nothing of this repository but itself."""
