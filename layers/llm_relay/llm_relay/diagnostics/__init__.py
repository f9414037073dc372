"""What `relay doctor` looks at: the stack's way to the provider, from the inside."""
