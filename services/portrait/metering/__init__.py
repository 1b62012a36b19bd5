"""Interval data: from the wire to day blocks."""
