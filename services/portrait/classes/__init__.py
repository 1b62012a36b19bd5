"""Which customers are high in what: dated rules, frozen percentiles, whole-population analyses."""
