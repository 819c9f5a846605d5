"""Thin component of `embedtune.steps.list_sources`."""

from typing import Dict, List

from components.images import data_component


@data_component
def list_sources(uri: str, version: str = "") -> List[Dict[str, str]]:
    """Name the files of the data and their versions, so that each can be read by a task of its own.

    Args:
        uri: Where the data are: a folder, a prefix or a pattern such as s3://bucket/prefix/*.csv.
        version: Version of the data as resolve_data found it; '' takes what is there.

    Returns:
        Output: The uri and version of each source.
    """
    from embedtune.steps.last_words import leave_last_words
    from embedtune.steps.list_sources import ListSourcesConfig
    from embedtune.steps.list_sources import list_sources as step

    leave_last_words("list_sources")
    sources = step(ListSourcesConfig(uri=uri, version=version))
    return [{"uri": source.uri, "version": source.version} for source in sources]
