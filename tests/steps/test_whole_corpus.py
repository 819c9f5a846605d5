"""The whole corpus through the steps: the training folder beside the evaluation, each layout with a tiny model."""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import ConfigError, InputError
from embedtune.models.loading import load_model
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.score_files import COMPARISON_FILE, LABEL_NOISE_FILE
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.training.config import FinetuneConfig


class Trained:
    """A tuned model with both folders of its build."""

    def __init__(self, folder: Path, base: Path, layout: Layout, columns: Sequence[Sequence[object]]) -> None:
        self.folder, self.base, self.model = folder, base, folder / "model"
        self.train, self.evaluation = folder / "train", folder / "evaluation"
        modalities = (Modality.TEXT,) * (1 if layout is Layout.LABELLED else 2)
        with open_rows(folder / "rows", RowsFormat(layout, modalities)) as file:
            file.write([list(range(len(columns[0]))), *map(list, columns)])
        options = BuildOptions(eval_share=0.4)
        build_documents(folder / "rows", self.train, self.evaluation, folder / "aside.csv", options)
        config = FinetuneConfig(backbone=str(base), epochs=1, batch_size=16, max_length=0, learning_rate=1e-3)
        finetune(config, self.train, self.model, folder / "loss.html")

    def judge(self, train: Path | None, whole_corpus: bool = True, evaluations: Sequence[str] = ()) -> Comparison:
        asked = json.dumps({"whole_corpus": whole_corpus, "evaluations": list(evaluations)})
        outputs = [self.folder / part for part in ("scores", "report.html", "report.md")]
        found = evaluate_retrieval(
            EvaluateRetrievalConfig(eval_options=asked), self.model, self.evaluation, *outputs, train
        )
        assert Comparison.load(outputs[0] / COMPARISON_FILE) == found
        return found

    def rows(self, split: Split) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = (
            BuiltFolder.open(self.train if split is Split.TRAIN else self.evaluation).table(split).to_pylist()
        )
        return rows


LABELS = [f"label {number}" for number in range(6)]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Trained:
    texts = [f"{label} text {number * 7 % 19}" for label in LABELS for number in range(12)]
    columns = texts, [label for label in LABELS for _ in range(12)]
    return Trained(tmp_path_factory.mktemp("labelled"), tiny_model_folder, Layout.LABELLED, columns)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Trained:
    numbers = range(60)
    columns = [f"query {one}" for one in numbers], [f"document {one % 50} {one}" for one in numbers]
    return Trained(tmp_path_factory.mktemp("pairs"), tiny_model_folder, Layout.PAIRS, columns)


def naive_ndcg(model: Path, queries: list[dict[str, str]], index: list[dict[str, str]]) -> float:
    """Mean nDCG@10 where equal labels are relevant, by a loop over all pairs in float64."""
    encoder = load_model(str(model), 0)
    vectors = encoder.encode([row["text"] for row in index], convert_to_numpy=True).astype(np.float64)
    found = []
    for query in queries:
        vector = encoder.encode(query["text"], convert_to_numpy=True).astype(np.float64)
        cosines = vectors @ vector / np.linalg.norm(vector) / np.linalg.norm(vectors, axis=1)
        kept = [(-round(float(cosine), 6), row["id"], row["label"]) for cosine, row in zip(cosines, index, strict=True)]
        order = sorted(one for one in kept if one[1] != query["id"])
        hits = [one[2] == query["label"] for one in order]
        best = sum(1 / math.log2(rank + 2) for rank in range(min(sum(hits), 10)))
        found.append(sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits[:10])) / best)
    return sum(found) / len(found)


def test_held_out_queries_search_all_documents(labelled: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = labelled.judge(labelled.train)
    queries, index, trained = (labelled.rows(split) for split in (Split.QUERY, Split.INDEX, Split.TRAIN))
    (table,) = comparison.side_tables
    values = {each.name: each.values for each in table.metrics}["ndcg_at_10"]
    for side, model in (("base", labelled.base), ("tuned", labelled.model)):
        assert values[side] == pytest.approx(naive_ndcg(model, queries, index + trained), abs=1e-6)
    assert (table.queries, table.index_documents) == (len(queries), len(index) + len(trained))
    assert (table.trained_queries, table.trained_index) == ({"tuned": 0}, {"tuned": len(trained)})
    assert all(0 < share < 1 for share in table.trained_hits.values())
    said = capsys.readouterr().err
    assert f"each model encodes {len(queries)} training queries and {len(trained)} training documents" in said


def test_new_queries_among_seen_documents(labelled: Trained) -> None:
    comparison = labelled.judge(labelled.train)
    new, mixed, other, seen = comparison.cells
    queries, index, trained = (labelled.rows(split) for split in (Split.QUERY, Split.INDEX, Split.TRAIN))
    values = {each.name: each.values for each in mixed.metrics}["ndcg_at_10"]
    assert values["tuned"] == pytest.approx(naive_ndcg(labelled.model, queries, trained), abs=1e-6)
    assert (new.metrics, new.differences) == (comparison.metrics, comparison.differences)
    assert [cell.documents for cell in comparison.cells] == [len(index), len(trained)] * 2
    assert other.queries == seen.queries == len(queries)
    for end, title in (("html", '<h2 id="cells">Seen and new</h2>'), ("md", "## Seen and new")):
        assert title in (labelled.folder / f"report.{end}").read_text("utf-8")


def test_pairs_that_were_held_out_whole(pairs: Trained) -> None:
    comparison = pairs.judge(pairs.train, evaluations=[f"own={pairs.evaluation}"])
    whole, own = comparison.side_tables
    assert (whole.name, own.name) == ("whole corpus", "own")
    assert own.metrics == comparison.metrics
    assert [bool(cell.why) for cell in comparison.cells] == [False, True, True, False]
    assert whole.index_documents == comparison.index_documents + comparison.cells[3].documents
    values, of_all = ({each.name: each.values for each in part.metrics}["recall_at_10"] for part in (comparison, whole))
    assert of_all["base"] < values["base"]  # what is relevant stays the same, and there is more to find


def test_labels_are_looked_through_with_and_without_the_training_documents(labelled: Trained) -> None:
    for train in (labelled.train, None):
        labelled.judge(train, whole_corpus=False)
        lines = (labelled.folder / "scores" / LABEL_NOISE_FILE).read_text("utf-8-sig").splitlines()
        assert [line.partition(",")[0] for line in lines] == ["content"]  # none seems to be wrong
        for end in ("html", "md"):
            assert "Labels to look at" not in (labelled.folder / f"report.{end}").read_text("utf-8")


def test_it_is_not_asked_for(pairs: Trained) -> None:
    comparison = pairs.judge(pairs.train, whole_corpus=False)
    assert comparison.cells == comparison.side_tables == ()
    assert pairs.judge(None, whole_corpus=False) == comparison


def test_without_the_training_documents(pairs: Trained) -> None:
    with pytest.raises(ConfigError, match=r"whole_corpus is true, but .* Give the 'train' folder of the build"):
        pairs.judge(None)


def test_with_those_of_another_build(pairs: Trained, labelled: Trained, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds the training documents 'sha256:\w+', but .* was held out from"):
        pairs.judge(labelled.train)
    moved = shutil.copytree(pairs.train, tmp_path / "train")
    assert pairs.judge(moved) == pairs.judge(pairs.train)
