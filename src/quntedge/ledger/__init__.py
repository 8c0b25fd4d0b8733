"""The ledger: append-only, balanced double entry. Knows accounts and amounts, nothing of what they mean."""
