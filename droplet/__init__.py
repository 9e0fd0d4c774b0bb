"""What runs on droplets. Standard library of Debian 13's Python only; it imports nothing of this repository but itself."""
