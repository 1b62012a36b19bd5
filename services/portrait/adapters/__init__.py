"""Formats of interval data: files in, files out. Nothing here knows tables or events."""
