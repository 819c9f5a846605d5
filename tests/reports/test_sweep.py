"""The page of a sweep: every combination, the losers too, and the winner's settings to paste."""

import shlex

from embedtune.models.card import EpochScore, Validation
from embedtune.reports.sweep import SweepReport, sweep_html, sweep_markdown, sweep_sentence, winner_flags
from embedtune.training.candidates import Candidate, Sweep, choose

HOSTILE = "The loss became nan | <script>alert(1)</script>."


def sweep(before: float = 0.4, metric: str = "ndcg_at_10", queries: int = 1040) -> Sweep:
    def of(value: float) -> Validation:
        return Validation(metric, queries, 80, (EpochScore(0, 0, before), EpochScore(1, 9, value)), 1)

    return choose(
        (
            Candidate({"train_learning_rate": 2e-5, "model_pooling": ""}, of(0.5), seconds=65),
            Candidate({"train_learning_rate": 1.0, "model_pooling": ""}, None, HOSTILE),
            Candidate({"train_learning_rate": 1e-4, "model_pooling": "cls"}, of(0.6), seconds=4),
        )
    )


def test_all_combinations_are_shown_and_the_chosen_one_is_marked() -> None:
    page, text = sweep_html(SweepReport("tickets", sweep())), sweep_markdown(SweepReport("tickets", sweep()))
    assert "3 combinations of settings" in page
    assert "train_learning_rate 0.0001, model_pooling cls ✓" in page
    assert page.count("✓") == 2  # the row, and what the sign means
    assert "<strong>0.600</strong>" in page
    assert "train_learning_rate 2e-05, model_pooling &#39;&#39;" in page
    assert "No model: The loss became nan | &lt;script&gt;" in page
    assert "<script" not in page
    assert "<code>--train-learning-rate 0.0001 --model-pooling cls</code>" in page
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| Settings | nDCG\\@10 | Epoch | Training |"
    assert rows[2].endswith("| 0.500 | 1 of 1 | 1\N{NO-BREAK SPACE}min 5\N{NO-BREAK SPACE}s |")
    assert rows[4].endswith("✓ | **0.600** | 1 of 1 | 4.0\N{NO-BREAK SPACE}s |")
    assert "no model: The loss became nan \\|" in rows[3]
    assert len(rows) == 5


def test_what_was_best_is_said_in_a_sentence() -> None:
    assert sweep_sentence(sweep()) == (
        "Of 3 combinations, train_learning_rate 0.0001, model_pooling cls was best: nDCG@10 0.6000 on 1,040 validation "
        "queries, 0.4000 before the training. 1 came to no model."
    )
    assert "0.7000 before the training; none is better than the base." in sweep_sentence(sweep(before=0.7))


def test_what_so_few_queries_do_not_tell_apart_is_said() -> None:
    """0.1 is the standard error of a mean of 0.6 over 24 queries, at most."""
    assert "Look here" not in sweep_sentence(sweep(queries=25))
    assert (
        "Look here: so few queries do not tell it from train_learning_rate 2e-05, model_pooling '', less than 0.1022 "
        in (sweep_sentence(sweep(queries=23)))
    )
    for metric in ("spearman", "dcg_at_10"):
        assert "Look here" not in sweep_sentence(sweep(metric=metric, queries=23))


def test_settings_are_flags_that_can_be_pasted() -> None:
    tried = {
        "train_epochs": 5,
        "train_keep_best_epoch": True,
        "model_normalize": False,
        "train_weight_decay": None,
        "train_augment": ["flip", "crop"],
        "model_query_prompt": "find: it's",
    }
    assert shlex.split(winner_flags(tried)) == [
        *("--train-epochs", "5", "--train-keep-best-epoch", "--no-model-normalize"),
        *("--train-augment", "flip", "--train-augment", "crop", "--model-query-prompt", "find: it's"),
        *("--train-options", '{"weight_decay": null}'),
    ]
