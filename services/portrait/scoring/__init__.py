"""Monthly usage and efficiency scores, computed from day blocks on request."""
