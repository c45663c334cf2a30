"""What is tried on copies and scratch databases, or foretold, before the real database is touched."""
