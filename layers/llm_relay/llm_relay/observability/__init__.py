"""Logs and metrics of a call."""
