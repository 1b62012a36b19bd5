"""`fanout-`: from a happening to the provider, against the usual ways to do it."""
