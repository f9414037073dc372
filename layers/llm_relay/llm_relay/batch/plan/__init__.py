"""Checks an input file and splits it into chunks."""
