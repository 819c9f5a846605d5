"""The rules by which documents are held out for evaluation."""

import numpy as np
import numpy.typing as npt

from embedtune.documents.document_set import DocumentSet, Units
from embedtune.documents.fingerprints import distinct
from embedtune.documents.judgments import smallest_members
from embedtune.documents.schema import SplitRule
from embedtune.errors import ConfigError
from embedtune.records.layouts import Layout

STRATIFIED_MIN_TEXTS = 4
"""A label with fewer different texts stays in training: two to train on and two to evaluate on are the least."""

AUTO_MIN_TEXTS = 8
"""A label with at least this many different texts counts as rich: a fifth of it still gives a query and its match."""

AUTO_MIN_SHARE = 0.5
"""Share of the documents that rich labels must hold for AUTO to choose STRATIFIED."""

_LEAST_HELD = 2
"""Groups to hold out at least (something must be irrelevant) and texts of a label (a query and its match)."""


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


def choose_rule(corpus: DocumentSet, rule: SplitRule) -> tuple[SplitRule, str]:
    """Return the rule to apply, STRATIFIED or GROUP, and why.

    Raises:
        ConfigError: STRATIFIED for rows without labels.
    """
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
    share = float(np.mean(contents[corpus.labels] >= AUTO_MIN_TEXTS))
    what = corpus.contents.plural
    numbers = f"{share:.0%} of the documents have labels with at least {AUTO_MIN_TEXTS} different {what}"
    if share >= AUTO_MIN_SHARE:
        reason = f"{numbers} ({AUTO_MIN_SHARE:.0%} or more), so new {what} of known labels are held out."
        return SplitRule.STRATIFIED, reason
    return SplitRule.GROUP, f"{numbers} (fewer than {AUTO_MIN_SHARE:.0%}), so whole labels are held out."


def hold_out_groups(corpus: DocumentSet, eval_share: float) -> npt.NDArray[np.bool_]:
    """Hold out whole groups in the order of their draws until the share is as near as they come, and at least two.

    A group larger than the share is passed over, so a giant group stays in training. Where fewer than two groups come
    together so, the smallest others are added. The share is of the judged documents: what nobody judged is in no group
    that could be trained on.

    Returns:
        Whether each document is held out (D,).
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
    documents: npt.NDArray[np.bool_] = held[corpus.groups] & corpus.judged
    return documents


def hold_out_stratified(corpus: DocumentSet, eval_share: float) -> npt.NDArray[np.bool_]:
    """Hold out a share of the different texts of each label.

    Texts whose content key has several labels stay in training, and so do labels with fewer than
    STRATIFIED_MIN_TEXTS texts.

    Returns:
        Whether each document is held out (D,).
    """
    units = corpus.units
    quota = _label_quota(corpus, units, eval_share)
    held: npt.NDArray[np.bool_] = units.first_of_each_label(~units.mixed, quota)[units.of_document]
    return held


def _label_quota(corpus: DocumentSet, units: Units, eval_share: float) -> npt.NDArray[np.int64]:
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
