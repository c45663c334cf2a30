"""What undone migrations take away: found beforehand, kept in the same database, and put back."""
