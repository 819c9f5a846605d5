"""Rows of positions become the features of each column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from embedtune.models.contents import Content, Contents, Indices
from embedtune.models.roles import EncodingRole, prompt_of
from embedtune.training.augmenting import Augmentation, augmented
from embedtune.training.batches import BatchPlan, share_of
from embedtune.training.processes import ALONE, Processes


@dataclass
class Collator:
    """Makes what the loss takes of a batch: for each column its features, and what is to be learnt of each row."""

    model: SentenceTransformer
    contents: Contents
    plan: BatchPlan
    roles: tuple[EncodingRole, ...]
    """What the contents of each column are encoded as."""
    searched: frozenset[int]
    """Contents that are encoded as documents whatever their column; where a batch has one column, it mixes roles."""
    augmentation: Augmentation
    seed: int
    processes: Processes = ALONE
    epoch: int = 0
    """Number of the epoch, set by the sampler: each draws its own augmentation."""

    valid_label_columns = ("label",)
    """sentence-transformers asks each collator for this."""

    def __call__(self, rows: Sequence[Indices]) -> dict[str, object]:
        """Return `c<column>_<feature>` for each column and feature of this process's share, and `label` (P,) of all.

        Args:
            rows: Positions (C,) of each row.
        """
        batch = np.stack(rows)
        features: dict[str, object] = {"label": torch.from_numpy(self.plan.targets(batch).copy())}
        share = share_of(batch, self.processes.rank, self.processes.count)
        for number, positions in enumerate(share.T):
            part = self._features(positions.tolist(), self.roles[number])
            features |= {f"c{number}_{name}": value for name, value in part.items()}
        return features

    def _features(self, positions: list[int], role: EncodingRole) -> dict[str, Any]:
        inputs = [self._content(position) for position in positions]
        prompt, other = prompt_of(self.model, role), prompt_of(self.model, EncodingRole.DOCUMENT)
        if prompt != other and not self.searched.isdisjoint(positions):
            for position, content in zip(positions, inputs, strict=True):
                if isinstance(content, dict) and "text" in content:
                    content["text"] = (other if position in self.searched else prompt) + content["text"]
            prompt = ""
        return self.model.preprocess(inputs, prompt=prompt if prompt else None)

    def _content(self, position: int) -> Content:
        content = self.contents[position]
        if not self.augmentation.any:
            return content
        return augmented(content, self.augmentation, np.random.default_rng([self.seed, self.epoch, position]))
