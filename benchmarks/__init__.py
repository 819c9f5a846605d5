"""Measurements behind the claims in the documentation; run with `make bench`."""
