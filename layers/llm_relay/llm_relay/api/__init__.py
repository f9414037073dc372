"""One request through API Gateway."""
