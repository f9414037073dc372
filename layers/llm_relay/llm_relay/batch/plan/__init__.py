"""Checks and splits an input file."""
