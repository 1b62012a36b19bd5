"""Two text message providers on this machine: same addresses, signatures, codes and receipts, nothing leaves it."""
