"""Streams of the Responses API."""
