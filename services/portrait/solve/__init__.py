"""Pure models over matrices that need a solver's library."""
