"""The configured providers and how they are called."""
