"""The loop told on measured data: customers, curves, an inspection, a fault, and what people were told."""
