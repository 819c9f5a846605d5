"""A backbone's name becomes an embedding model."""
