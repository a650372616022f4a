"""Keeping an installation for years: backups, restoring, and the replacement of its key. For commands."""
