"""A CSV becomes validated rows."""
