"""The ways back: advice, runbooks, drills, incident records."""
