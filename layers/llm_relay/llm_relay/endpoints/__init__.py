"""The OpenAI endpoints that the relay serves."""
