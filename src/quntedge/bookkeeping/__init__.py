"""What money events mean in the ledger."""
