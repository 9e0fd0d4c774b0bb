"""The steps of a CI: plan, guard, apply what was reviewed, drift, comments. `make` names them; any CI can call them."""
