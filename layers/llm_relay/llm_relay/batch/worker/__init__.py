"""Runs the rows of a chunk."""
