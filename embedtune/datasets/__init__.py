"""Datasets by name and version on the object store."""
