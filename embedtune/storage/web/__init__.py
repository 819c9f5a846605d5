"""Web servers. Of the packages up to datasets and samples, only this one imports urllib3."""
