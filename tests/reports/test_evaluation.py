"""The evaluation page: the decision first, exact numbers, losses shown like gains."""

import dataclasses
import re
from types import SimpleNamespace

import pytest

from embedtune.reports.evaluation import Change, change_of, evaluation_html, evaluation_markdown, with_data_page
from tests.comparisons import against_base, two_sides, with_side


def words(html: str) -> str:
    """Return what a reader sees, without tags."""
    body = html[html.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").replace("&#39;", "'")


def in_order(text: str, *parts: str) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_the_page_goes_from_the_decision_to_the_details(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    assert in_order(
        text,
        "Better than the base",
        "The tuned model is better: nDCG@10 rose from 0.6124 to 0.7461",
        "Over 412 held-out queries among 1,653 documents",
        "All metrics",
        "Training loss",
        "Examples",
        "Data",
        "Provenance",
        "How to read this page",
    )


def test_the_page_says_which_data_and_when(samples: SimpleNamespace) -> None:
    html, markdown = (draw(samples.evaluation_report()) for draw in (evaluation_html, evaluation_markdown))
    assert "<title>Better than the base: covid-faq, faq-*.csv</title>" in html
    assert "Evaluation / covid-faq / faq-*.csv / 27 November 2026, 21:40 UTC" in words(html)
    assert "covid\\-faq, faq\\-\\*\\.csv, 27 November 2026, 21\\:40 UTC" in markdown


def test_what_to_look_at_and_to_do_stands_before_the_details(samples: SimpleNamespace) -> None:
    report = samples.evaluation_report()
    for text in (words(evaluation_html(report)), evaluation_markdown(report).replace("\\", "")):
        assert in_order(
            text,
            "To look at",
            "31 of 412 queries (7.5%) are longer than the 128 tokens",
            "14 rows were set aside",
            "What to do next",
            "Serve it",
            "All metrics",
        )


def test_what_the_model_reads_and_how_the_data_were_read(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    for part in (
        "Training 8,448 128 402 (4.8 %) 11 (0.1 %)",
        "Queries 412 128 31 (7.5 %) 5 (1.2 %) 1",
        "Index 1,653 128 92 (5.6 %) 9 (0.5 %) 0",
        "Queries, base model 412 256 3 (0.7 %) 5 (1.2 %)",
        "Index, base model 1,653 256 7 (0.4 %) 9 (0.5 %)",
        "longer than the tokens that the model reads",
        "Data faq-*.csv",
        "Dialect semicolon (delimiter ';'), detected",
        "Encoding utf-8, as set",
        "Columns question and topic of 3",
        "line 881 repeats the header",
        "faq-2.csv 3,203 3 faq-1.csv 8,000 0",
        "0.247 for the tuned model and 0.198 for the base model",
    ):
        assert part in text
    markdown = evaluation_markdown(samples.evaluation_report()).replace("\u00a0", " ")
    assert "| Queries | 412 | 128 | 31 (7.5 %) | 5 (1.2 %) | 1 |" in markdown
    assert "| Header | yes, detected |" in markdown


def test_a_comparison_of_the_version_before_says_less(samples: SimpleNamespace) -> None:
    texts = dict.fromkeys(("query_texts", "index_texts"))
    comparison = with_side(dataclasses.replace(samples.COMPARISON, warnings=()), "tuned", **texts)
    comparison = with_side(comparison, "base", mean_cosine=None, **texts)
    report = dataclasses.replace(samples.evaluation_report(comparison), train_texts=None, data=None, made="")
    text = words(evaluation_html(report))
    assert "To look at" not in text
    assert "Texts as the model reads them" not in text
    assert "0.247 for the tuned model; near 1" in text


def test_the_data_page_is_linked_where_it_is_known(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    assert "<a " not in html
    linked = with_data_page(html, "data.html")
    assert linked.count('<a href="data.html">data page</a>') == 1
    assert linked.index("data page") < linked.index("<h1>")


def test_headline_numbers(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    headline = text[: text.index("All metrics")]
    for part in ("Base 0.612", "Tuned 0.746", "Difference +0.134", "▲ better", "95 % interval +0.101 to +0.168"):
        assert part in headline


def test_every_metric_has_its_numbers_sign_and_word(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    table = re.search(r"<tbody role.*?</tbody>", html, re.DOTALL)
    assert table is not None
    rows = [
        re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", row)).strip()
        for row in re.findall(r"<tr.*?</tr>", table[0], re.DOTALL)
    ]
    assert rows == [
        "nDCG@10 decides 0.612 0.746 +0.134 ▲ better +0.101 to +0.168",
        "MRR@10 0.663 0.791 +0.128 ▲ better +0.087 to +0.171",
        "MAP@10 0.532 0.660 +0.129 ▲ better +0.097 to +0.162",
        "recall@10 0.684 0.801 +0.117 ▲ better +0.084 to +0.151",
        "precision@10 0.211 0.210 −0.002 ≈ not clear −0.012 to +0.009",
        "hit@10 0.952 0.930 −0.022 ▼ worse −0.039 to −0.005",
    ]


def test_plots_describe_themselves(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    assert '<title id="hit_at_10-title">Difference in hit@10</title>' in html
    assert "−0.022, interval −0.039 to −0.005: worse." in html


def test_a_regression_is_not_promoted_and_says_so(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.rejected_report()))
    headline = text[: text.index("All metrics")]
    assert "Not shown to be better The tuned model is worse: nDCG@10 fell" in headline
    assert "Difference −0.134" in headline
    assert "▼ worse" in headline


def test_what_is_missing_is_said(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.rejected_report())
    assert "No loss was logged" in html
    assert "No example queries were kept." in html
    assert 'class="line-chart"' not in html
    assert 'id="data"' not in html


def test_equal_models(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.equal_report())
    assert html.count("= same") == 7
    assert "label <bdi>" not in html
    assert "= Same" in words(html)
    assert '<circle class="dot" cx="' in html


def test_losses_are_shown_like_gains(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    assert in_order(text, "▲ Better", samples.FOUND, "▼ Worse", samples.LOST, "nDCG@10 0.877 &rarr; 0.431", "= Same")
    lost = text[text.index(samples.LOST) : text.index("= Same")]
    assert "Base 3 of 5 relevant 1 Can my dog infect me? ✓ relevant".replace("✓", "&#10003;") in lost
    assert "Tuned 2 of 5 relevant 1 Can I get COVID-19 from food? not relevant" in lost


def test_examples_are_bounded_and_the_rest_is_counted(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.hostile_report("text"))
    assert html.count('<article class="example">') == 24
    assert html.count("8 of 50 shown") == 3
    assert html.count('<span class="rank">') == 24 * 2 * 5


def test_the_clearest_examples_come_first(samples: SimpleNamespace) -> None:
    small, large = samples.EXAMPLES[1], samples.EXAMPLES[0]
    comparison = dataclasses.replace(samples.COMPARISON, examples=(small, large))
    assert in_order(evaluation_html(samples.evaluation_report(comparison)), large.id, small.id)


def test_settings_and_provenance(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    for part in (
        "Loss MultipleNegativesRankingLoss",
        "Epochs 3",
        "Batch size 64 texts",
        "Learning rate 2e-05",
        "Time 3 min 12 s",
        "Speed 131.7 texts/s",
        "Training documents 8,448",
        samples.PROVENANCE.data_digest,
        "Seed 42",
        "torch 2.13.0",
    ):
        assert part in text


def test_method_is_stated(samples: SimpleNamespace) -> None:
    text = words(evaluation_html(samples.evaluation_report()))
    for part in (
        "trec_eval",
        "descending score, equal scores by ascending id",
        "same id as an index document",
        "Paired bootstrap",
        "10,000 times (seed 42)",
        "8 further queries were left out",
        "3 queries of the base model and 2 of the tuned model",
        "0.247 for the tuned model",
    ):
        assert part in text


def test_markdown_says_the_same(samples: SimpleNamespace) -> None:
    markdown = evaluation_markdown(samples.evaluation_report()).replace("\u00a0", " ")
    assert markdown.startswith("# ✓ Better than the base\n")
    assert "0.612 → 0.746** (+0.134, 95 % interval +0.101 to +0.168, ▲ better)" in markdown
    assert "| hit\\@10 | 0.952 | 0.930 | −0.022 | −0.039 to −0.005 | ▼ worse |" in markdown
    assert "| 3 | How long is the incubation period? (0.671) |" not in markdown
    assert (
        "| 3 | How long is the incubation period? (0.667) | Is it safe to order parcels from abroad? (0.774) |"
        in markdown
    )
    assert "| 1 | Is it safe to order parcels from abroad? (0.711) | ✓ Can the coronavirus live on surfaces" in markdown
    assert evaluation_markdown(samples.rejected_report()).startswith("# — Not shown to be better\n")


@pytest.mark.parametrize(
    ("difference", "lower", "upper", "change"),
    [
        (0.1, 0.01, 0.2, Change.BETTER),
        (-0.1, -0.2, -0.01, Change.WORSE),
        (0.1, 0.0, 0.2, Change.UNCLEAR),
        (0.0, -0.1, 0.1, Change.UNCLEAR),
        (0.0, 0.0, 0.0, Change.SAME),
    ],
)
def test_change(difference: float, lower: float, upper: float, change: Change) -> None:
    found = against_base(("hit_at_10", 0.5, 0.5 + difference, difference, lower, upper))
    assert change_of(found) is change


def test_a_number_that_is_none_is_refused(samples: SimpleNamespace) -> None:
    nan = float("nan")
    comparison = two_sides([("ndcg_at_10", nan, nan, nan, nan, nan)], samples.COMPARISON.decision)
    with pytest.raises(ValueError, match="finite numbers"):
        evaluation_html(samples.evaluation_report(comparison))


def test_a_champion_has_a_column_and_what_the_tuned_model_differs_from_it(samples: SimpleNamespace) -> None:
    report = samples.champion_report()
    html, markdown = evaluation_html(report), evaluation_markdown(report).replace("\u00a0", " ")
    text = words(html)
    assert in_order(
        text,
        "Better than the base, not shown to be better than the champion",
        "Compared with the champion, version 3, the tuned model is worse",
        "The champion goes on serving",
        "Metric Base Tuned Champion Difference from base 95 % interval of the difference Difference from champion",
        "in 3 queries of the base model, 2 of the tuned model and 1 of the champion model",
        "0.155 for the champion model, 0.247 for the tuned model and 0.198 for the base model",
    )
    row = re.search(r"<tr[^>]*>\s*<th[^>]*>nDCG@10.*?</tr>", html, re.DOTALL)
    assert row is not None
    assert re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", row[0])).strip() == (
        "nDCG@10 decides 0.612 0.746 0.776 +0.134 ▲ better +0.101 to +0.168 −0.030 ▼ worse −0.040 to −0.020"
    )
    assert "The champion model was itself trained on held-out texts: 32 queries were left out for that, in the" in text
    assert '<title id="hit_at_10-champion-title">Difference from the champion in hit@10</title>' in html
    assert "Champion 1 of 5 relevant" in text
    assert (
        "| Metric | Base | Tuned | Champion | Difference from base | 95 % interval | | Difference from champion |"
        in (markdown)
    )
    assert "| 0.612 | 0.746 | 0.776 | +0.134 | +0.101 to +0.168 | ▲ better | −0.030 | −0.040 to −0.020 | ▼ worse |" in (
        markdown
    )
    assert "| Rank | Base | Tuned | Champion |" in markdown
    assert "in the comparison with the champion, because it was trained on them: 32" in markdown
