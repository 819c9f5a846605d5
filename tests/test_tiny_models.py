"""The tiny models tell contents apart; tests that use one that does not prove nothing."""

import numpy as np
import pytest

from embedtune.models.loading import load_model
from embedtune.models.probes import probes
from tests.tiny_models import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_two_contents_of_a_kind_have_different_vectors(tiny_models, kind):
    model = load_model(str(tiny_models(kind)), 0)
    lists = probes(set(model.modalities))
    assert lists
    for contents in lists:
        first, *_, last = model.encode(contents)
        assert np.abs(first - last).max() > 0.01 * np.abs(first).max() > 1e-4
