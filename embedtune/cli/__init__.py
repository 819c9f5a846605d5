"""A person's words become calls of the steps."""
