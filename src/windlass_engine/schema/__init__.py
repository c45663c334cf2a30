"""What a schema is: read, kept, compared, and told apart from what it was."""
