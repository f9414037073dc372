"""Single jobs from a queue, and responses that are made in the background."""
