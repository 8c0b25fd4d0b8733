"""Comparing payments, ledger and gateway, money for money."""
