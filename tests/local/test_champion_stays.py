"""A worse run after a better one leaves the champion, and says why."""

import json
import random
from pathlib import Path

import pytest

from tests.local.conftest import Finished, Start, write_csv


def named_things() -> list[tuple[str, str]]:
    """Texts that end with one of 24 made-up names, the label, after words that say nothing."""
    draw = random.Random(1)

    def word(syllables: int) -> str:
        return "".join(draw.choice("bcdfglmnprst") + draw.choice("aeiou") for _ in range(syllables))

    names = [word(3) for _ in range(24)]
    rows = [(f"{word(2)} {word(2)} {word(2)} {name}", name) for name in names for _ in range(12)]
    return [("text", "label"), *rows]


@pytest.fixture(scope="module")
def runs(start: Start, tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> list[Finished]:
    """The same data three times: with a good learning rate, with one that is too low, and with the good one again."""
    folder = tmp_path_factory.mktemp("champion")
    source = write_csv(folder / "things.csv", named_things())
    options = ("--data-uri", source, "--model-backbone", tiny_model_folder, "--model-max-length", 48)
    options += ("--train-batch-size", 32, "--train-epochs", 1, "--eval-share", 0.3)
    return [
        start(folder / "out", *options, "--train-learning-rate", rate).finish() for rate in ("0.005", "0.0005", "0.005")
    ]


def test_the_first_is_promoted_over_no_champion(runs: list[Finished]) -> None:
    summary = runs[0].summary
    assert runs[0].code == 0, runs[0].err
    assert summary["registered"]["promoted"] is True
    assert summary["decision"]["champion_version"] == ""
    assert "embeddings has no champion yet, so the tuned model is compared with the base alone." in runs[0].notes


def test_worse_settings_the_second_time_keep_the_first_champion_and_say_why(runs: list[Finished]) -> None:
    summary, registered = runs[1].summary, runs[1].summary["registered"]
    assert runs[1].code == 0, runs[1].err
    assert (registered["version"], registered["promoted"]) == (2, False)
    assert registered["champion"]["version"] == 1
    decision = summary["decision"]
    assert (decision["better"], decision["better_than_base"], decision["champion_version"]) == (False, True, "1")
    assert decision["reasons"][-1].startswith("Compared with the champion, version 1, the tuned model is worse: ")
    assert decision["reasons"][-1] in registered["reason"]
    assert decision["reasons"][-1] in runs[1].out
    metric = summary["metrics"]["ndcg_at_10"]
    assert metric["tuned"] < metric["champion"]
    assert metric["champion"] == pytest.approx(runs[0].summary["metrics"]["ndcg_at_10"]["tuned"], abs=1e-9)
    assert metric["difference_to_champion"] == pytest.approx(metric["tuned"] - metric["champion"])
    assert metric["base"] < metric["tuned"]
    page = (runs[1].folder / "report.html").read_text(encoding="utf-8")
    assert '<th scope="col" role="columnheader" class="figure">Champion</th>' in page
    assert (runs[1].folder / "scores" / "champion.run").is_file()


def test_the_same_as_the_champion_again_is_that_version_and_stays_champion(runs: list[Finished]) -> None:
    summary, registered = runs[2].summary, runs[2].summary["registered"]
    assert runs[2].code == 0, runs[2].err
    assert (registered["version"], registered["promoted"]) == (1, True)
    assert summary["decision"]["champion_version"] == "1"
    assert summary["metrics"]["ndcg_at_10"]["difference_to_champion"] == 0
    assert "evaluate_retrieval" in summary["step_seconds"]  # the champion is an input: no old comparison is served
    assert "finetune" not in summary["step_seconds"]


def test_the_scores_name_all_sides(runs: list[Finished]) -> None:
    path = Path(runs[1].summary["run"]) / "scores" / "comparison.json"
    comparison = json.loads(path.read_text(encoding="utf-8"))
    assert [side["name"] for side in comparison["sides"]] == ["base", "tuned", "champion"]
    assert comparison["sides"][2]["model"] == "embeddings, version 1"
