"""Batch jobs: a JSONL file in, every row answered exactly once."""
