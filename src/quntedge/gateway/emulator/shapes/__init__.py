"""How records look as JSON, in Whop's native shapes and in the legacy ones."""
