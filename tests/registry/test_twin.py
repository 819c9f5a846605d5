"""The registry in memory against MLflow's own: the same calls leave the same aliases, versions and tags."""

import random
from pathlib import Path

from mlflow import MlflowClient

from tests.registry.twin import Twin


def test_the_twin_answers_as_mlflow_does(tmp_path: Path) -> None:
    client, twin = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}"), Twin()
    client.create_registered_model("shop")
    draw = random.Random(0)
    for _ in range(3):
        _create(client, twin, {"first": "1"})
    for _ in range(60):
        version, other = (str(draw.choice(sorted(twin.tags))) for _ in range(2))
        key = draw.choice(["first", "promotion", "reason"])
        alias = draw.choice(["champion", "previous"])
        call = draw.randrange(5)
        if call == 0:
            _create(client, twin, {key: version})
        for registry in (client, twin):
            if call == 1:
                registry.set_registered_model_alias("shop", alias, version)
            elif call == 2:
                registry.set_model_version_tag("shop", version, key, other)
            elif call > 2:
                registry.delete_model_version_tag("shop", version, key)
        assert _state(client) == _state(twin)
    assert set(twin.aliases) == {"champion", "previous"}


def _create(client: MlflowClient, twin: Twin, tags: dict[str, str]) -> None:
    numbers = [
        str(registry.create_model_version("shop", source="file:///model", tags=tags).version)
        for registry in (client, twin)
    ]
    assert numbers[0] == numbers[1]


def _state(registry: MlflowClient | Twin) -> tuple[dict[str, str], list[tuple[str, dict[str, str]]]]:
    aliases = {alias: str(version) for alias, version in registry.get_registered_model("shop").aliases.items()}
    found = registry.search_model_versions("name = 'shop'")
    return aliases, [(str(each.version), dict(each.tags)) for each in found]
