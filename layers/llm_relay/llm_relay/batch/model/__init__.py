"""Records, names and files of a batch."""
