"""Saved means of payment."""
