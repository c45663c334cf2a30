"""What becomes of a backup after it is made: its marks, the catalogue, retention, off-site copies, restore tests."""
