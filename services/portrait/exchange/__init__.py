"""Files of interval data in, a customer's own data out."""
