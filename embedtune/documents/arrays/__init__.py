"""Foreign DocumentArrays, saved or in memory, become validated rows."""
