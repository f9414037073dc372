"""Values that every package uses: errors, deadlines, JSON, usage."""
