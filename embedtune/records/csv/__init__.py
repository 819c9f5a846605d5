"""Tables become validated rows: what a file is, how it is read, which column holds what."""
