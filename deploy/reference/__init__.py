"""What the manifests say, written out for readers: OpenAPI, the list of events, the tables in each service's README."""
