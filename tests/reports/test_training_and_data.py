"""The pages of the fine-tuning and the data step."""

import dataclasses
import re
from types import SimpleNamespace

from embedtune.models.card import EpochScore, LossPoint, Validation
from embedtune.reports.data import DataReport, data_html, data_markdown
from embedtune.reports.evaluation import evaluation_html, evaluation_markdown
from embedtune.reports.training import loss_curve, training_html
from embedtune.reports.validation import metric_curve


def words(html: str) -> str:
    body = html[html.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ")


def test_loss_curve_knows_its_ends_and_its_lowest_point() -> None:
    history = (LossPoint(10, 0.5, 2.0), LossPoint(20, 1.0, 0.5), LossPoint(30, 1.5, 0.75))
    curve = loss_curve(history)
    assert curve is not None
    assert (curve.first, curve.last, curve.lowest) == (history[0], history[2], history[1])
    assert curve.rows == history
    assert "from 2 at step 10 to 0.75 at step 30, epoch 1.5; lowest 0.5 at step 20." in curve.chart


def test_no_history_is_no_curve() -> None:
    assert loss_curve(()) is None


def test_a_long_history_is_listed_in_even_steps() -> None:
    curve = loss_curve(tuple(LossPoint(step, step / 10, 1.0) for step in range(1, 92)))
    assert curve is not None
    assert [point.step for point in curve.rows] == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91]


def test_metric_curve_knows_its_ends_the_best_epoch_and_the_kept_one() -> None:
    scores = tuple(EpochScore(epoch, 10 * epoch, value) for epoch, value in enumerate((0.25, 0.5, 0.375)))
    curve = metric_curve(Validation("map_at_5", 20, 40, scores, 2))
    assert curve is not None
    assert (curve.first, curve.last, curve.best) == (scores[0], scores[2], scores[1])
    said = "from 0.250 before training to 0.375 after epoch 2; best 0.500 at epoch 1. The model has the weights of"
    assert f"MAP@5 on held-out training documents, {said} epoch 2." in curve.chart
    assert '<polyline class="line" points="46.0,170.0 197.0,26.0 348.0,98.0"/>' in curve.chart
    assert '<circle class="dot" cx="348.0" cy="98.0"' in curve.chart
    assert metric_curve(None) is None


def test_pages_show_the_metric_of_each_epoch(samples: SimpleNamespace) -> None:
    report = samples.evaluation_report()
    pages = [evaluation_html(report), training_html(samples.training_report(report))]
    for text in map(words, pages):
        said = "before training, 0.725 after epoch 3; best 0.729 at epoch 2. The model has the weights of epoch 2"
        assert said in text
        assert "Epoch Step nDCG@10 0, before training 0 0.601 1 132 0.701 2, kept 264 0.729 3 396 0.725" in text
        assert text.index("Training loss by optimizer step") < text.index("nDCG@10 by epoch")
    markdown = evaluation_markdown(report)
    assert "best 0.729 at epoch 2. The model has the weights of epoch 2.\n\n| Epoch | Step | nDCG\\@10 |" in markdown
    assert "\n| 2 | 264 | 0.729 |\n" in markdown


def test_pages_of_a_training_without_validation_say_nothing_of_one(samples: SimpleNamespace) -> None:
    report = dataclasses.replace(samples.evaluation_report(), validation=None)
    pages = [evaluation_html(report), training_html(samples.training_report(report)), evaluation_markdown(report)]
    assert not any("alidation" in page[page.index("Training loss") :] for page in pages)


def test_training_page(samples: SimpleNamespace) -> None:
    report = samples.training_report(samples.evaluation_report())
    text = words(training_html(report))
    assert "8,448 documents in 3 min 12 s" in text
    assert "sentence-transformers/all-MiniLM-L6-v2 , 3 epochs, 131.7 contents/s." in text
    assert text.index("Training loss") < text.index("Learning rate 2e-05") < text.index("sha256:9f86d")
    assert 'class="line-chart"' in training_html(report)


def test_training_page_says_that_the_loss_did_not_move(samples: SimpleNamespace) -> None:
    report = samples.training_report(samples.evaluation_report())
    text = words(training_html(dataclasses.replace(report, remarks=("The loss did not move: 2.5, and 2.495.",))))
    assert "The loss did not move: 2.5, and 2.495." in text


def test_training_page_without_history(samples: SimpleNamespace) -> None:
    report = samples.training_report(samples.rejected_report())
    assert "No loss was logged" in training_html(report)


def test_data_page_has_warnings_before_numbers(samples: SimpleNamespace) -> None:
    text = words(data_html(DataReport(samples.DATA)))
    places = [
        text.index(part)
        for part in (
            "11,203 rows",
            "1 thing to look at",
            "14 rows were set aside because",
            "Training 8,448",
            "Stratified. Every label has at least 5 texts",
            "Most frequent labels",
            "symptoms 342",
            "How long does the virus survive on cardboard? surface survival",
        )
    ]
    assert places == sorted(places)
    assert "127 rows with the content of an earlier one merged, 14 set aside" in text
    assert "Index held out; what the queries search in 1,653 207 12 24" in text
    assert "Largest group 3.1 % of all documents" in text


def test_bars_are_to_scale(samples: SimpleNamespace) -> None:
    widths = re.findall(r'<rect width="([\d.]+)"', data_html(DataReport(samples.DATA)))
    assert widths == ["100.0", "90.9", "70.2", "35.7", "2.0"]


def test_pairs_have_groups_and_no_histogram(samples: SimpleNamespace) -> None:
    html = data_html(DataReport(samples.PAIRS_DATA))
    text = words(html)
    assert "Nothing stands out." in text
    assert "By group. Pairs are split by connected groups" in text
    assert "Groups" in text
    assert "Query Document capital of france Paris is the capital" in text
    assert 'class="bars"' not in html
    assert "Most frequent labels" not in data_markdown(DataReport(samples.PAIRS_DATA))


def test_more_warnings_than_fit_are_counted(samples: SimpleNamespace) -> None:
    assert "100 things to look at" in words(data_html(DataReport(samples.hostile_data("text"))))
    assert "80 more are not listed." in words(data_html(DataReport(samples.hostile_data("text"))))


def test_data_markdown(samples: SimpleNamespace) -> None:
    markdown = data_markdown(DataReport(samples.DATA))
    assert "- 14 rows were set aside because the same text carries several labels\\." in markdown
    assert "| Training | 8,448 | 207 | 11 | 24 |" in markdown
    assert "| surface survival | 240 |" in markdown
