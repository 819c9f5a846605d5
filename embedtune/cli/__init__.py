"""A person's words become calls of the steps."""

import embedtune.steps  # noqa: F401 - it says how many threads to start before numpy is imported
