"""Monitoring of a run: history, findings and messages."""
