"""Measured comparisons. Every compared variant runs interleaved in one invocation, and equality gates the ratio."""
