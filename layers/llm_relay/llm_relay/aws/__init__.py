"""AWS services."""
