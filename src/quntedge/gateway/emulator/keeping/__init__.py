"""Keeps the state over restarts and in copies to come back to."""
