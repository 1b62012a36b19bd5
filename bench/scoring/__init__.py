"""Scoring of a generated population, against an ORM loop and single SQL statements."""
