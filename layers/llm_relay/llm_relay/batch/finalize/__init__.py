"""Ends a batch."""
