"""How providers differ from OpenAI."""
