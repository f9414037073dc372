"""Single jobs from a queue, and background responses."""
