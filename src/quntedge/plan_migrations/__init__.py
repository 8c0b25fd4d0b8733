"""Moving subscribers to a new version of their plan."""
