"""A URI becomes a local file, and back."""
