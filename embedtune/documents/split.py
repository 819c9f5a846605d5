"""Hold out what training must not see, and divide it into queries and the index they search."""

from dataclasses import dataclass, replace

import numpy as np

from embedtune.documents.distinct_contents import Flags, Numbers, distinct
from embedtune.documents.document_set import DocumentSet, Units, smallest_members
from embedtune.documents.row_uses import Use
from embedtune.documents.schema import OFFICIAL_RULE, SplitRule
from embedtune.documents.split_checks import (
    STRATIFIED_MIN_TEXTS,
    AskedShare,
    check_evaluation,
    check_groups,
    check_train,
    verify_no_leak,
)
from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Layout

NO_RULE = "none"
"""Rule of plain texts, and of a trial with data that allow no split: nothing is held out."""

_AUTO_MIN_TEXTS = 8
"""A label with at least this many different texts counts as rich: a fifth of it still gives a query and its match."""

_AUTO_MIN_SHARE = 0.5
"""Share of the documents that rich labels must hold for AUTO to choose STRATIFIED."""

_LEAST_HELD = 2
"""Groups to hold out at least (something must be irrelevant) and texts of a label (a query and its match)."""

_LEAST_DOCUMENTS = 2
"""To search in: something must be wrong to find."""


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """Which of the D documents and P judged pairs goes where."""

    rule: str
    """What was applied: 'stratified', 'group', OFFICIAL_RULE or NO_RULE."""
    reason: str
    """Why this rule, in one sentence."""
    train: Flags
    """Documents of the training folder (D,)."""
    query: Flags
    """Held-out documents to search with (D,)."""
    index: Flags
    """Held-out documents to search in (D,); a document that is both query and document of pairs is in both."""
    train_pairs: Flags
    """Judged pairs of the training folder (P,)."""
    evaluation_pairs: Flags
    """Judged pairs of the evaluation folder (P,)."""


def split_documents(corpus: DocumentSet, rule: SplitRule, share: float, option: str = "eval_share") -> SplitPlan:
    """Split documents so that no content key is on both sides; AUTO follows the split of a source that has one.

    The outcome depends on the contents, the seed of the corpus's draws and the share, not on the order of the rows.
    The option is what people call that share. Documents that leave nothing to train or to evaluate on are an
    InputError, a rule that is none for their layout a ConfigError.
    """
    if not corpus.layout.is_trainable:
        check_rule(corpus.layout, rule)
        return all_in_training(
            corpus, "Plain texts have nothing to measure: all of them are in the training folder, none is held out."
        )
    if corpus.judgments.official:
        plan = _official_split(corpus)
    else:
        applied, reason = _choose_rule(corpus, rule)
        check_groups(corpus, applied)
        held = (_hold_out_groups if applied is SplitRule.GROUP else _hold_out_stratified)(corpus, share)
        divide = _divide_labelled if corpus.layout.has_labels else _divide_pairs
        plan = divide(corpus, held, applied, reason)
    asked = AskedShare(option, share)
    check_train(corpus, plan.train, asked, plan.rule)
    check_evaluation(corpus, plan.query, plan.index, asked)
    verify_no_leak(corpus, plan.train, plan.query, plan.index)
    return plan


def all_in_training(corpus: DocumentSet, reason: str) -> SplitPlan:
    """Hold nothing out, for a reason in one sentence; documents that nobody judged are nowhere."""
    nothing, no_pair = np.zeros(len(corpus), np.bool_), np.zeros(len(corpus.pairs), np.bool_)
    return SplitPlan(NO_RULE, reason, corpus.judged, nothing, nothing, ~no_pair, no_pair)


def all_held_out(corpus: DocumentSet) -> SplitPlan:
    """Hold everything out, to be measured on by models that were trained on other data; InputError if nothing can be.

    A source that divides its judgments itself is measured on as whoever made it does, without those for training. The
    rule is the one by which such data would be split, which says what an interval resamples.
    """
    if not corpus.layout.is_trainable:
        raise InputError("Plain texts ask for nothing. Give queries with their relevant documents, or labelled texts.")
    if corpus.judgments.official:
        plan = _official_split(corpus)
    else:
        applied, reason = _choose_rule(corpus, SplitRule.AUTO)
        divide = _divide_labelled if corpus.layout.has_labels else _divide_pairs
        plan = divide(corpus, np.ones(len(corpus), np.bool_), applied, f"Everything is held out. {reason}")
    plan = replace(plan, train=np.zeros_like(plan.train), train_pairs=np.zeros_like(plan.train_pairs))
    queries, documents = (int(np.count_nonzero(part)) for part in (plan.query, plan.index))
    if queries < 1 or documents < _LEAST_DOCUMENTS:
        raise InputError(
            f"All {len(corpus)} contents held out give {queries} queries and {documents} documents to search in; at "
            f"least 1 query and {_LEAST_DOCUMENTS} documents are needed. Give queries with a relevant document each, "
            "or labels with two contents each."
        )
    verify_no_leak(corpus, plan.train, plan.query, plan.index)
    return plan


def _official_split(corpus: DocumentSet) -> SplitPlan:
    """Follow the source: the evaluation searches the whole corpus, as whoever made the benchmark does."""
    judgments = corpus.judgments
    train_pairs, evaluation_pairs = judgments.uses == Use.TRAIN, judgments.uses == Use.EVALUATION
    train = _ends(corpus, train_pairs, (0, 1))
    query = _ends(corpus, evaluation_pairs, (0,))
    reason = "The source divides its judgments itself; the evaluation's queries search the whole corpus."
    return SplitPlan(OFFICIAL_RULE, reason, train, query, corpus.searched, train_pairs, evaluation_pairs)


def _divide_pairs(corpus: DocumentSet, held: Flags, rule: SplitRule, reason: str) -> SplitPlan:
    """Make queries and index of held-out pairs; documents that nobody judged are in the index.

    A wrong answer on the other side than its query is judged on neither.
    """
    pairs, gains = corpus.judgments.pairs, corpus.judgments.gains
    first, second = held[pairs[:, 0]], held[pairs[:, 1]]
    # A text with itself can be trained on as scored, but no search finds its own query.
    others = first & second & (pairs[:, 0] != pairs[:, 1])
    query = _ends(corpus, others & (gains > 0), (0,))
    index = (corpus.searched & held) | ~corpus.judged
    return SplitPlan(rule, reason, corpus.judged & ~held, query, index, ~first & ~second, others & query[pairs[:, 0]])


def _ends(corpus: DocumentSet, pairs: Flags, sides: tuple[int, ...]) -> Flags:
    """Tell which documents (D,) are at some sides of some pairs (P,): 0 for their queries, 1 for their documents."""
    members = np.zeros(len(corpus), np.bool_)
    members[corpus.pairs[pairs][:, sides]] = True
    return members


def _divide_labelled(corpus: DocumentSet, held: Flags, rule: SplitRule, reason: str) -> SplitPlan:
    """Make about half of each label's held-out contents queries.

    All variants of one content key are on the same side, so that no query finds itself in another spelling. A content
    key with several labels is in the index, so that each query has a relevant one there.
    """
    units = corpus.units
    per_label = units.per_label(held, len(corpus.label_names))
    eligible = ~units.mixed
    eligible[units.of_document[~held]] = False
    query = units.first_of_each_label(eligible, per_label // 2)[units.of_document]
    no_pair = np.zeros(0, np.bool_)
    return SplitPlan(rule, reason, ~held, query, held & ~query, no_pair, no_pair)


def check_rule(layout: Layout, rule: SplitRule) -> None:
    """Check that rows of a layout can be held out by a rule.

    Raises:
        ConfigError: STRATIFIED for rows without labels, or a rule for plain texts.
    """
    if not layout.is_trainable and rule is not SplitRule.AUTO:
        raise ConfigError(f"split='{rule}' cannot be applied to plain texts: nothing of them is held out. Use 'auto'.")
    if rule is SplitRule.STRATIFIED and not layout.has_labels:
        columns = ",".join(layout.columns)
        raise ConfigError(
            f"split='stratified' needs labelled rows (text,label), got {layout} ({columns}). "
            "Use split='group' or split='auto'."
        )


def _choose_rule(corpus: DocumentSet, rule: SplitRule) -> tuple[SplitRule, str]:
    """Return the rule to apply, STRATIFIED or GROUP, and why."""
    check_rule(corpus.layout, rule)
    if rule is not SplitRule.AUTO:
        return rule, f"split='{rule}' was asked for."
    if not corpus.layout.has_labels:
        groups = len(distinct(corpus.groups[corpus.judged])[0])
        return SplitRule.GROUP, (
            f"Pairs are held out by whole groups of connected rows ({groups} groups), so that no held-out query or "
            "document was seen in training."
        )
    contents = np.bincount(corpus.units.label)
    share = float(np.mean(contents[corpus.labels] >= _AUTO_MIN_TEXTS))
    what = corpus.contents.plural
    numbers = f"{share:.0%} of the documents have labels with at least {_AUTO_MIN_TEXTS} different {what}"
    if share >= _AUTO_MIN_SHARE:
        reason = f"{numbers} ({_AUTO_MIN_SHARE:.0%} or more), so new {what} of known labels are held out."
        return SplitRule.STRATIFIED, reason
    return SplitRule.GROUP, f"{numbers} (fewer than {_AUTO_MIN_SHARE:.0%}), so whole labels are held out."


def _hold_out_groups(corpus: DocumentSet, eval_share: float) -> Flags:
    """Hold out whole groups in the order of their draws until the share is as near as they come, and at least two (D,).

    A group larger than the share is passed over, so a giant group stays in training. Where fewer than two groups come
    together so, the smallest others are added. The share is of the judged documents: what nobody judged is in no group
    that could be trained on.
    """
    # The draw of one member, not the smallest of all: that would favour large groups.
    order = np.argsort(corpus.draws[corpus.keys[corpus.representatives]], kind="stable")
    sizes = np.bincount(corpus.groups[corpus.judged], minlength=len(order))[order]
    wanted = eval_share * np.count_nonzero(corpus.judged)
    fitting = np.where(sizes <= wanted, sizes, 0)
    taken = (fitting > 0) & (np.cumsum(fitting) - fitting / 2 <= wanted)
    count = max(_LEAST_HELD, int(np.count_nonzero(taken)))
    held = np.zeros(len(sizes), np.bool_)
    held[order[np.lexsort((sizes, sizes == 0, ~taken))[:count]]] = True
    documents: Flags = held[corpus.groups] & corpus.judged
    return documents


def _hold_out_stratified(corpus: DocumentSet, eval_share: float) -> Flags:
    """Hold out a share of the different texts of each label (D,).

    Texts whose content key has several labels stay in training, and so do labels with fewer than
    STRATIFIED_MIN_TEXTS texts.
    """
    units = corpus.units
    quota = _label_quota(corpus, units, eval_share)
    held: Flags = units.first_of_each_label(~units.mixed, quota)[units.of_document]
    return held


def _label_quota(corpus: DocumentSet, units: Units, eval_share: float) -> Numbers:
    """Return how many texts of each label to hold out (L,).

    Where the share of a label is below two texts, two are held out of as many such labels as keep the overall share:
    a single held-out text could be neither a query with a match nor a match of a query.
    """
    texts = np.bincount(units.label)
    target = np.where(texts >= STRATIFIED_MIN_TEXTS, eval_share * texts, 0.0)
    quota = np.rint(target).astype(np.int64)
    small = np.flatnonzero((target > 0) & (target < _LEAST_HELD))
    count = round(float(target[small].sum()) / _LEAST_HELD)
    if count == 0 and len(small) == np.count_nonzero(target):
        count = 1
    draws = corpus.draws[corpus.keys[smallest_members(corpus.ids, corpus.labels)]]
    quota[small] = 0
    quota[small[np.argsort(draws[small], kind="stable")[:count]]] = _LEAST_HELD
    return np.minimum(quota, np.maximum(texts - _LEAST_HELD, 0))
