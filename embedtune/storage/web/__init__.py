"""Web servers. Only this package imports urllib3."""
