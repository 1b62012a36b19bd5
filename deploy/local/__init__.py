"""The laptop stack: Postgres, a broker and supervised processes, without Docker and without root."""
