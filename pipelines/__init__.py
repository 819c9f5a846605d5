"""Pipelines composed of the components, and their command line."""
