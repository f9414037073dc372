"""Checks of request bodies."""
