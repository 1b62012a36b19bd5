"""Pure rules of delivery and of proof: no database, no clock, no network."""
