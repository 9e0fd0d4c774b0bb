"""The steps of CI: plan, guard, apply what was reviewed, drift, comments. Any CI can call their make targets."""
