"""Rows become grouped, split Documents in shards."""
