"""Parts of a model that sentence-transformers does not have."""
