"""The object store. Only this package imports minio."""
