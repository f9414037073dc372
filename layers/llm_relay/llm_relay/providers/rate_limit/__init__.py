"""The provider's rate limits."""
