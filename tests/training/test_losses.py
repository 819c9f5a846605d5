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
from embedtune.models.options import ModelOptions
from embedtune.models.tailoring import tailor
from embedtune.training.config import LOSSES, BatchKind
from embedtune.training.embedding import ColumnLoss
from embedtune.training.objectives import build_objective
from embedtune.training.optimizing import optimizer_class
from embedtune.training.options import OPTIMIZERS

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


def arc_face(vectors: Vectors, labels: list[int], weights: Vectors) -> float:
    """Deng et al. 2019, eq. 3: cross-entropy over cosines times 64, the right angle widened by 28.6 degrees.

    Args:
        weights: A column for each label.
    """
    cosines, losses = unit(vectors) @ unit(weights.T).T, []
    for i, label in enumerate(labels):
        logits = [64 * cosine for cosine in cosines[i]]
        logits[label] = 64 * math.cos(math.acos(cosines[i, label]) + math.radians(28.6))
        losses.append(math.log(sum(math.exp(logit - max(logits)) for logit in logits)) + max(logits) - logits[label])
    return mean_or_zero(losses)


def proxy_anchor(vectors: Vectors, labels: list[int], weights: Vectors) -> float:
    """Kim et al. 2020, eq. 4, margin 0.1, alpha 32.

    Args:
        weights: A row for each label.
    """
    similarity = unit(vectors) @ unit(weights).T
    pull, push, present = 0.0, 0.0, 0
    for proxy in range(len(weights)):
        own = [i for i, label in enumerate(labels) if label == proxy]
        others = [i for i, label in enumerate(labels) if label != proxy]
        if own:
            present += 1
            pull += math.log(1 + sum(math.exp(-32 * (similarity[i, proxy] - 0.1)) for i in own))
        push += math.log(1 + sum(math.exp(32 * (similarity[i, proxy] + 0.1)) for i in others))
    return pull / present + push / len(weights)


def multiple_negatives_ranking(columns: list[Vectors]) -> float:
    """Henderson et al. 2017, section 4.4: cross-entropy over cosines times 20, anchors to all else."""
    anchors, candidates = unit(columns[0]), unit(np.concatenate(columns[1:]))
    scores = 20 * anchors @ candidates.T
    return mean_or_zero([math.log(sum(math.exp(score) for score in row)) - row[i] for i, row in enumerate(scores)])


def clip(columns: list[Vectors], scale: float) -> float:
    """Radford et al. 2021, figure 3."""
    scores = scale * unit(columns[0]) @ unit(np.concatenate(columns[1:])).T
    turned = scale * unit(columns[1]) @ unit(columns[0]).T
    rows = [math.log(sum(math.exp(score) for score in row)) - row[i] for i, row in enumerate(scores)]
    turned = [math.log(sum(math.exp(score) for score in row)) - row[i] for i, row in enumerate(turned)]
    return (mean_or_zero(rows) + mean_or_zero(turned)) / 2


def cosent(columns: list[Vectors], scores: list[float]) -> float:
    cosines = (unit(columns[0]) * unit(columns[1])).sum(axis=1)
    terms = [
        math.exp(20 * (cosines[j] - cosines[i]))
        for i in range(len(scores))
        for j in range(len(scores))
        if scores[i] > scores[j]
    ]
    return math.log(1 + sum(terms))


def cosine_similarity(columns: list[Vectors], scores: list[float]) -> float:
    cosines = (unit(columns[0]) * unit(columns[1])).sum(axis=1)
    return mean_or_zero([(cosine - score) ** 2 for cosine, score in zip(cosines, scores, strict=True)])


NAIVE_OF_LABELS: dict[str, Callable[[Vectors, list[int]], float]] = {
    "SupConLoss": supervised_contrastive,
    "MultiSimilarityLoss": multi_similarity,
    "TripletMarginLoss": triplet_margin,
}
NAIVE_OF_WEIGHTS: dict[str, tuple[str, Callable[[Vectors, list[int], Vectors], float]]] = {
    "ArcFaceLoss": ("W", arc_face),
    "ProxyAnchorLoss": ("proxies", proxy_anchor),
}
NAIVE_OF_SCORES: dict[str, Callable[[list[Vectors], list[float]], float]] = {
    "CoSENTLoss": cosent,
    "CosineSimilarityLoss": cosine_similarity,
}


@pytest.fixture(scope="module")
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0).eval()


def random_vectors(count: int, spread: float, seed: int = 0) -> Vectors:
    """Vectors around a common direction, as those of a language model are, scaled so that lengths would matter."""
    rng = np.random.default_rng([count, seed])
    return (rng.normal(1, spread, (count, 8)) * rng.uniform(0.5, 3, (count, 1))).astype(np.float32)


def tensors(columns: list[Vectors]) -> list[torch.Tensor]:
    return [torch.tensor(column) for column in columns]


@pytest.mark.parametrize("spread", [0.2, 2.0])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", NAIVE_OF_LABELS)
def test_label_losses(model, name, labels, spread):
    vectors = random_vectors(len(LABELS[labels]), spread)
    loss = build_objective(name, model, 8, 8)(tensors([vectors]), torch.tensor(LABELS[labels]))
    expected = NAIVE_OF_LABELS[name](vectors.astype(np.float64), LABELS[labels])
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("spread", [0.2, 2.0])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", NAIVE_OF_WEIGHTS)
def test_losses_with_a_vector_for_each_label(model, name, labels, spread):
    torch.manual_seed(1)
    vectors, (weights, naive) = random_vectors(len(LABELS[labels]), spread), NAIVE_OF_WEIGHTS[name]
    objective = build_objective(name, model, 8, 8)
    loss = objective(tensors([vectors]), torch.tensor(LABELS[labels]))
    learned = getattr(objective.loss, weights).detach().numpy().astype(np.float64)
    assert loss.item() == pytest.approx(naive(vectors.astype(np.float64), LABELS[labels], learned), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("spread", [0.2, 2.0])
@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("rows", [2, 7])
def test_ranking_loss(model, rows, columns, spread):
    vectors = [random_vectors(rows, spread, seed) for seed in range(columns)]
    loss = build_objective("MultipleNegativesRankingLoss", model, 8, 8)(tensors(vectors), torch.arange(rows))
    assert loss.item() == pytest.approx(
        multiple_negatives_ranking([column.astype(np.float64) for column in vectors]), rel=1e-5
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("log_scale", "scale"), [(math.log(1 / 0.07), 1 / 0.07), (0.0, 1.0), (9.0, 100.0)])
def test_clip_loss_and_the_bound_of_its_factor(model, log_scale, scale, count):
    vectors = [random_vectors(5, 0.5, seed) for seed in range(count)]
    objective = build_objective("CLIPLoss", model, 8, 8)
    assert objective.log_scale.item() == pytest.approx(math.log(1 / 0.07))
    with torch.no_grad():
        objective.log_scale.fill_(log_scale)
    loss = objective(tensors(vectors), torch.arange(5))
    assert loss.item() == pytest.approx(clip([column.astype(np.float64) for column in vectors], scale), rel=1e-5)
    loss.backward()
    assert objective.log_scale.item() == pytest.approx(math.log(scale), abs=1e-6)
    assert objective.log_scale.grad.item() != 0.0


@pytest.mark.parametrize("scores", [[0.0, 0.5, 1.0, 0.5, 0.25], [0.0, 1.0], [1.0, 1.0, 1.0]])
@pytest.mark.parametrize("name", NAIVE_OF_SCORES)
def test_losses_of_scored_pairs(model, name, scores):
    vectors = [random_vectors(len(scores), 2.0, seed) for seed in range(2)]
    loss = build_objective(name, model, 8, 8)(tensors(vectors), torch.tensor(scores))
    expected = NAIVE_OF_SCORES[name]([column.astype(np.float64) for column in vectors], scores)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_every_loss_has_a_naive_form():
    naive = {*NAIVE_OF_LABELS, *NAIVE_OF_WEIGHTS, *NAIVE_OF_SCORES, "MultipleNegativesRankingLoss", "CLIPLoss"}
    assert naive == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_vectors_have_finite_gradients(model, name):
    columns = [torch.ones(8, 4, requires_grad=True) for _ in range(1 if LOSSES[name] is BatchKind.LABELS else 2)]
    scored = LOSSES[name] is BatchKind.SCORED
    targets = torch.linspace(0, 1, 8) if scored else torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    build_objective(name, model, 4, 4)(columns, targets).backward()
    assert all(torch.isfinite(column.grad).all() for column in columns)


TEXTS = ["a" * (3 * number % 50) for number in range(37)] + ["", "b c d", "https://example.org/a.png"]


class _Vectors(torch.nn.Module):
    """Hands out the vectors that a loss would see."""

    def forward(self, columns: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
        self.seen = columns
        return sum((vectors * weights_like(vectors)).sum() for vectors in columns)


def weights_like(vectors: torch.Tensor) -> torch.Tensor:
    return torch.linspace(-1, 1, vectors.numel()).reshape(vectors.shape)


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
@pytest.mark.parametrize("counts", [(1,), (16,), (17,), (40,), (9, 9), (3, 3, 3)])
def test_parts_of_a_batch_are_embedded_as_the_whole(request, name, counts):
    model = request.getfixturevalue(name)
    columns = [model.preprocess(TEXTS[number : number + count]) for number, count in enumerate(counts)]
    whole = [model(dict(features))["sentence_embedding"] for features in columns]
    weighed = sum((vectors * weights_like(vectors)).sum() for vectors in whole)
    expected = torch.autograd.grad(weighed, list(model.parameters()), allow_unused=True)
    vectors = _Vectors()
    loss = ColumnLoss(model, vectors)(columns, torch.zeros(counts[0], dtype=torch.int64))
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    for seen, right in zip(vectors.seen, whole, strict=True):
        torch.testing.assert_close(seen, right, rtol=0, atol=2e-6)
    torch.testing.assert_close(gradients, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tower", ["", "clip-text"])
@pytest.mark.parametrize("lengths", [(1, 2, 3), (1, 2, 99)])
@pytest.mark.parametrize("columns", [1, 2])
def test_padding_of_a_fixed_length_is_not_cut(tiny_models, tower, lengths, columns):
    """SigLIP reads the last position, whatever stands there, and must see the same in training as in use."""
    siglip = tailor(load_model(str(tiny_models("siglip")), 0), ModelOptions(select_model=tower), 0)
    texts = [{"text": "a" * length} for length in (*lengths, *range(1, 20))]
    vectors = _Vectors()
    ColumnLoss(siglip, vectors)([siglip.preprocess(texts) for _ in range(columns)], torch.zeros(len(texts)))
    expected = torch.from_numpy(siglip.encode(texts))
    for seen in vectors.seen:
        torch.testing.assert_close(seen, expected, rtol=0, atol=2e-6)


def test_prompts_of_another_length_are_left_out_of_each_column_alone(tiny_model_folder):
    """Of a model that leaves out its prompts when it pools."""
    model = load_model(str(tiny_model_folder), 0).eval()
    model[1].include_prompt = False
    seen = []

    def vectors(columns, targets):
        seen.extend(column.detach() for column in columns)
        return targets.sum()

    prompts, texts = ("a query with words: ", None), ["abc", "de f", "g"]
    columns = [model.preprocess(texts, prompt=prompt) for prompt in prompts]
    ColumnLoss(model, vectors)(columns, torch.zeros(len(texts)))
    for prompt, found in zip(prompts, seen, strict=True):
        expected = model.encode(texts, prompt=prompt, convert_to_tensor=True)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_contents_are_counted(model):
    loss = ColumnLoss(model, build_objective("SupConLoss", model, 3, 32))
    for texts in (["a", "b", "c"], ["d", "e"]):
        loss([model.preprocess(texts)], torch.arange(len(texts)))
    assert loss.contents_seen == 5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_one_of_torchs(name):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = optimizer_class(name)([parameter], lr=0.01)
    parameter.sum().backward()
    optimizer.step()
    assert type(optimizer).__name__ == name
    assert (parameter < 1).all()
