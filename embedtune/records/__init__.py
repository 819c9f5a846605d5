"""Sources of any kind become validated rows with their contents loaded."""
