"""Thin component of `embedtune.steps.resolve_data`."""

from components.images import data_component


@data_component
def resolve_data(uri: str) -> str:
    """Find out which version of the data there is now.

    Never cached: every later step is cached on its answer, so a schedule retrains exactly when the data changed.

    Args:
        uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.

    Returns:
        Output: The version, sha256 of a file or etag and size of an object.
    """
    from embedtune.steps.resolve_data import ResolveDataConfig
    from embedtune.steps.resolve_data import resolve_data as step

    return step(ResolveDataConfig(uri=uri))
