"""What is kept of a backup: manifest, marks, the catalogue, retention, encryption, off-site copies."""
