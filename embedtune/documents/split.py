"""Hold out what training must not see, and divide it into queries and the index they search."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedtune.documents.corpus import Corpus
from embedtune.documents.holdout import choose_rule, hold_out_groups, hold_out_stratified
from embedtune.documents.schema import SplitRule
from embedtune.documents.split_checks import check_evaluation, check_groups, check_train, verify_no_leak
from embedtune.records.layouts import Layout


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """Which of the D documents goes where."""

    rule: SplitRule
    """The rule that was applied: STRATIFIED or GROUP."""
    reason: str
    """Why this rule, in one sentence."""
    train: npt.NDArray[np.bool_]
    """Documents to train on (D,)."""
    query: npt.NDArray[np.bool_]
    """Held-out documents to search with (D,)."""
    index: npt.NDArray[np.bool_]
    """Held-out documents to search in (D,); a document that is both query and document of pairs is in both."""


def split_corpus(corpus: Corpus, rule: SplitRule, eval_share: float) -> SplitPlan:
    """Split documents so that no content key is on both sides.

    The outcome depends on the contents, the seed of the corpus's draws and the share, not on the order of the rows.

    Args:
        corpus: The documents.
        rule: How to hold out; AUTO chooses.
        eval_share: Share of the documents to hold out, above 0 and below 1.

    Raises:
        InputError: The documents do not allow such a split, or leave nothing to train or to evaluate on.
        ConfigError: STRATIFIED for pairs.
    """
    applied, reason = choose_rule(corpus, rule)
    check_groups(corpus, applied)
    hold_out = hold_out_groups if applied is SplitRule.GROUP else hold_out_stratified
    held = hold_out(corpus, eval_share)
    query, index = _divide_pairs(corpus, held) if corpus.layout is Layout.PAIRS else _divide_labelled(corpus, held)
    plan = SplitPlan(applied, reason, ~held, query, index)
    check_train(corpus, plan.train, eval_share)
    check_evaluation(corpus, query, index, eval_share)
    verify_no_leak(corpus, plan.train, query, index)
    return plan


def _divide_pairs(corpus: Corpus, held: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    query, index = np.zeros_like(held), np.zeros_like(held)
    query[corpus.pairs[:, 0]] = True
    index[corpus.pairs[:, 1]] = True
    return query & held, index & held


def _divide_labelled(
    corpus: Corpus, held: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Make about half of each label's held-out texts queries.

    All variants of one content key are on the same side, so that no query finds itself in another spelling. A content
    key with several labels is in the index, so that each query has a relevant text there.
    """
    units = corpus.units
    per_label = units.per_label(held, len(corpus.label_names))
    eligible = ~units.mixed
    eligible[units.of_document[~held]] = False
    query = units.first_of_each_label(eligible, per_label // 2)[units.of_document]
    return query, held & ~query
