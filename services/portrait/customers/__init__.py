"""The archive of customers, the facts about them, and what follows from these at once."""
