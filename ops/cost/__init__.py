"""What environments cost (model/cost.py, model/prices.py), said to people and to programs."""
