"""A registry in memory that answers as MLflow's does, so that thousands of schedules take seconds; see test_twin.py."""

from types import SimpleNamespace
from typing import Any


class Page(list[Any]):
    token = None


class Twin:
    """The calls of MlflowClient that move aliases."""

    tracking_uri = "memory:"

    def __init__(self) -> None:
        self.aliases: dict[str, int] = {}
        self.tags: dict[int, dict[str, str]] = {}

    def copy(self) -> "Twin":
        other = Twin()
        other.aliases, other.tags = dict(self.aliases), {version: dict(tags) for version, tags in self.tags.items()}
        return other

    def get_registered_model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, aliases={alias: str(version) for alias, version in self.aliases.items()})

    def search_model_versions(self, filter_string: str, page_token: str | None = None) -> Page:
        assert page_token is None
        newest_first = sorted(self.tags, reverse=True)
        return Page(SimpleNamespace(version=str(version), tags=dict(self.tags[version])) for version in newest_first)

    def create_model_version(self, name: str, source: str, tags: dict[str, str]) -> SimpleNamespace:
        version = 1 + max(self.tags, default=0)
        self.tags[version] = dict(tags)
        return SimpleNamespace(version=str(version))

    def get_model_version(self, name: str, version: str) -> SimpleNamespace:
        return SimpleNamespace(version=version, tags=dict(self.tags[int(version)]), run_id="")

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        assert int(version) in self.tags
        self.aliases[alias] = int(version)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.tags[int(version)][key] = value

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        self.tags[int(version)].pop(key, None)
