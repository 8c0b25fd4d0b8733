"""Who did what, and what was refused: append-only, each row sealed by the one before it."""
