"""Brings signed messages to endpoints: one by one with retries, as samples, in floods."""
