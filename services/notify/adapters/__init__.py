"""Outside protocols of notify, one folder each."""
