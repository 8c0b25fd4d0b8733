"""Promotions and their codes: terms, reservations, uses."""
