"""The checks that `relay doctor` runs inside the stack."""
