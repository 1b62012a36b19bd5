"""Pure rules: standard library and NumPy only; no clock, SQL, pydantic or kernel."""
