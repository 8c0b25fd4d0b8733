"""Pure rules: what is due when, what it costs, what a card does."""
