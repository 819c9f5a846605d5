"""Each loss recomputed by a naive loop in float64, and batches embedded part by part as if whole."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import Qwen2Config, Qwen2Model

from embedtune.models.loading import load_model
from embedtune.training.batches import LabelBatches, PairBatches
from embedtune.training.config import LOSSES, OPTIMIZERS, FinetuneConfig
from embedtune.training.losses import BatchLoss, build_loss, optimizer_class, plan_batches

Vectors = np.ndarray
LABELS = {
    "P x K": [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
    "uneven, with singles": [5, 5, 5, 5, 1, 1, 7, 3, 5],
    "no positive": [0, 1, 2, 3],
    "no negative": [4, 4, 4, 4],
}


def unit(vectors: Vectors) -> Vectors:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def mean_or_zero(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def triplet_margin(vectors: Vectors, labels: list[int]) -> float:
    """Schroff et al. 2015, eq. 3, with plain distances: the mean over violating triplets."""
    vectors, violations = unit(vectors), []
    for a, anchor in enumerate(vectors):
        for p, positive in enumerate(vectors):
            for n, negative in enumerate(vectors):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    to_positive, to_negative = math.dist(anchor, positive), math.dist(anchor, negative)
                    violations.append(to_positive - to_negative + 0.05)
    return mean_or_zero([violation for violation in violations if violation > 0])


def supervised_contrastive(vectors: Vectors, labels: list[int]) -> float:
    """Khosla et al. 2020, eq. 2, at temperature 0.1: the mean over anchors that have a positive, 0 for one label."""
    if len(set(labels)) == 1:
        return 0.0
    similarity, losses = unit(vectors) @ unit(vectors).T / 0.1, []
    for i in range(len(labels)):
        others = [j for j in range(len(labels)) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        normalizer = math.log(sum(math.exp(similarity[i, j]) for j in others))
        if positives:
            losses.append(-sum(similarity[i, p] - normalizer for p in positives) / len(positives))
    return mean_or_zero(losses)


def multi_similarity(vectors: Vectors, labels: list[int]) -> float:
    """Wang et al. 2019, eq. 10, with alpha 2, beta 50, lambda 0.5, over all pairs: the mean over all anchors."""
    similarity, losses = unit(vectors) @ unit(vectors).T, []
    for i in range(len(labels)):
        positives = [j for j in range(len(labels)) if j != i and labels[j] == labels[i]]
        negatives = [j for j in range(len(labels)) if labels[j] != labels[i]]
        pull = math.log(1 + sum(math.exp(-2 * (similarity[i, p] - 0.5)) for p in positives)) / 2
        push = math.log(1 + sum(math.exp(50 * (similarity[i, n] - 0.5)) for n in negatives)) / 50
        losses.append(pull + push)
    return mean_or_zero(losses)


def multiple_negatives_ranking(vectors: Vectors, _: list[int]) -> float:
    """Henderson et al. 2017, section 4.4: cross-entropy over cosines times 20, anchors to positives."""
    anchors, positives = unit(vectors[0::2]), unit(vectors[1::2])
    scores = 20 * anchors @ positives.T
    return mean_or_zero([math.log(sum(math.exp(score) for score in row)) - row[i] for i, row in enumerate(scores)])


NAIVE: dict[str, Callable[[Vectors, list[int]], float]] = {
    "MultipleNegativesRankingLoss": multiple_negatives_ranking,
    "SupConLoss": supervised_contrastive,
    "MultiSimilarityLoss": multi_similarity,
    "TripletMarginLoss": triplet_margin,
}


@pytest.fixture(scope="module")
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0).eval()


def random_vectors(count: int, spread: float) -> Vectors:
    """Vectors around a common direction, as those of a language model are, scaled so that lengths would matter."""
    rng = np.random.default_rng(count)
    return (rng.normal(1, spread, (count, 8)) * rng.uniform(0.5, 3, (count, 1))).astype(np.float32)


@pytest.mark.parametrize("spread", [0.2, 2.0])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "MultipleNegativesRankingLoss"])
def test_label_losses(model, name, labels, spread):
    vectors = random_vectors(len(LABELS[labels]), spread)
    loss = build_loss(model, name).objective(torch.tensor(vectors), torch.tensor(LABELS[labels]))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(NAIVE[name](vectors.astype(np.float64), LABELS[labels]), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("spread", [0.2, 2.0])
@pytest.mark.parametrize("pairs", [2, 7])
def test_ranking_loss(model, pairs, spread):
    vectors = random_vectors(2 * pairs, spread)
    loss = build_loss(model, "MultipleNegativesRankingLoss").objective(
        torch.tensor(vectors), torch.arange(pairs).repeat_interleave(2)
    )
    assert loss.item() == pytest.approx(multiple_negatives_ranking(vectors.astype(np.float64), []), rel=1e-5)


def test_every_loss_has_a_naive_form():
    assert set(NAIVE) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_vectors_and_no_vectors_have_finite_gradients(model, name):
    vectors = torch.ones(8, 4, requires_grad=True)
    build_loss(model, name).objective(vectors, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])).backward()
    assert torch.isfinite(vectors.grad).all()


TEXTS = ["a" * (3 * number % 50) for number in range(37)] + ["", "b c d", "https://example.org/a.png"]


class _Vectors(torch.nn.Module):
    """Hands out the vectors that a loss would see."""

    def forward(self, vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.seen = vectors
        return (vectors * torch.linspace(-1, 1, vectors.numel()).reshape(vectors.shape)).sum()


@pytest.fixture(scope="module")
def left_padded(model, tmp_path_factory):
    """A decoder that pads on the left and pools the last token, as the embedding models made from LLMs do."""
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen2Config(vocab_size=89, hidden_size=32, num_hidden_layers=2, intermediate_size=64, **heads)
    folder = tmp_path_factory.mktemp("decoder")
    Qwen2Model(config).save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    decoder = load_model(str(folder), 64).eval()
    decoder.tokenizer.padding_side = "left"
    return SentenceTransformer(modules=[decoder[0], Pooling(32, "lasttoken")], device="cpu")


@pytest.mark.parametrize("name", ["model", "left_padded"])
@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_parts_of_a_batch_are_embedded_as_the_whole(request, name, count):
    model = request.getfixturevalue(name)
    features = model.preprocess(TEXTS[-count:])
    whole = model(dict(features))["sentence_embedding"]
    weighed = (whole * torch.linspace(-1, 1, whole.numel()).reshape(whole.shape)).sum()
    expected = torch.autograd.grad(weighed, list(model.parameters()), allow_unused=True)
    vectors = _Vectors()
    loss = BatchLoss(model, vectors)([features], torch.zeros(count, dtype=torch.int64))
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    torch.testing.assert_close(vectors.seen, whole, rtol=0, atol=2e-6)
    torch.testing.assert_close(gradients, expected, rtol=1e-4, atol=1e-4)


def test_texts_are_counted(model):
    loss = build_loss(model, "SupConLoss")
    for texts in (["a", "b", "c"], ["d", "e"]):
        loss([model.preprocess(texts)], torch.arange(len(texts)))
    assert loss.texts_seen == 5


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_gets_the_batches_it_needs(examples, name):
    plan = plan_batches(examples, FinetuneConfig(loss=name, batch_size=8, items_per_label=2))
    assert isinstance(plan, PairBatches if name == "MultipleNegativesRankingLoss" else LabelBatches)
    for batch in plan.epoch(0):
        labels = examples.labels[batch]
        if isinstance(plan, PairBatches):
            assert (labels[0::2] == labels[1::2]).all()
        else:
            assert sorted(np.bincount(labels)[np.unique(labels)]) == [2] * 4 or len(batch) < 8


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_one_of_torchs(name):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = optimizer_class(name)([parameter], lr=0.01)
    parameter.sum().backward()
    optimizer.step()
    assert type(optimizer).__name__ == name
    assert (parameter < 1).all()
