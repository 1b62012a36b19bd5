"""Warnings while the month can still be changed, from the newest data and with its age."""
