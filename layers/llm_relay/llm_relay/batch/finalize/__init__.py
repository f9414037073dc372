"""Finalizes a batch: settles, assembles the results, sets the final status, publishes it."""
