"""Foreign DocumentArrays become validated rows."""
