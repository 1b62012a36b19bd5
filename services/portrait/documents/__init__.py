"""Data in, document bytes out."""
