"""Disputes and alerts: deadlines, evidence, outcomes."""
