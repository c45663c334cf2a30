"""Backups made, restored beside their original, tried, and put in its place."""
