"""Portrait: the archive of customers, their metering, classes and scores."""
