"""Who calls (tokens), what they may do (grants), whose rows they see (scopes)."""
