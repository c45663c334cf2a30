"""A system's scripts as they lie on disk: read, split, their directives understood.  Talks to no database."""
