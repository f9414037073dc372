"""The relay: an OpenAI-compatible request in, the provider's answer out."""
