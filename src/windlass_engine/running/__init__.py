"""A run: the one room that changes a schema, and how each step of a plan is carried out, watched, retried and told."""
