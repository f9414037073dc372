"""The operator's command line: `relay`."""
