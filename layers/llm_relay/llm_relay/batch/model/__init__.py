"""The records, keys and file formats of batches."""
