"""Texts per second in training and in encoding, against sentence-transformers alone: same texts, batch, steps, loss.

python -m benchmarks.speed --rounds 3 --texts short,tickets,long

Each round runs every side once, one after the other; what is printed are medians of the rounds. Only the training loop
is timed, and the encoding; both sides have loaded the model. A side runs once before the rounds.
"""

import argparse
import contextlib
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer import losses

from benchmarks.data import ROOT
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.models.contents import Contents
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model
from embedtune.models.precision import chosen_precision
from embedtune.models.roles import EncodingRole
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.trainer import train

_WORDS = {"short": (2.2, 0.65, 46), "tickets": None, "long": (5.0, 0.1, 200)}
"""Mean and spread of the logarithm of the number of words, and the most; None takes the example's texts as they are."""
_LOSSES = ("MultipleNegativesRankingLoss", "CoSENTLoss")
_MAX_LENGTH, _BATCH = 128, 64


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--texts", default=",".join(_WORDS))
    parser.add_argument("--loss", default=_LOSSES[0], choices=_LOSSES)
    parser.add_argument("--encode", type=int, default=0, help="texts to encode instead of training")
    options = parser.parse_args()
    automatic = chosen_precision(load_model(DEFAULT_BACKBONE, _MAX_LENGTH))
    print(f"{torch.get_num_threads()} threads; precision auto is {automatic}")
    print("| texts | tokens | padded | plain, texts/s | float32 | times | auto | times |\n" + "|---" * 8 + "|")
    for kind in options.texts.split(","):
        texts = _texts(kind, options.encode if options.encode else options.steps * _BATCH)
        sides = _encoders(texts) if options.encode else _trainers(texts, options.loss)
        print(f"| {kind} | {_lengths(texts)} | {_medians(sides, options.rounds, len(texts))}", flush=True)


def _medians(sides: dict[str, Callable[[], float]], rounds: int, texts: int) -> str:
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                taken = run()
            if number:
                seconds[name].append(taken)
    plain, *ours = (statistics.median(found) for found in seconds.values())
    return f"{texts / plain:.1f} | " + " | ".join(f"{texts / one:.1f} | {plain / one:.2f}" for one in ours) + " |"


def _texts(kind: str, count: int) -> list[str]:
    with (ROOT / "examples/support_tickets.csv").open(encoding="utf-8", newline="") as file:
        examples = [row[0] for row in csv.reader(file)][1:]
    rng, shape = np.random.default_rng(0), _WORDS[kind]
    if shape is None:
        return [examples[place] for place in rng.choice(len(examples), count)]
    words = " ".join(examples).split()
    lengths = np.clip(rng.lognormal(*shape[:2], count), 2, shape[2]).astype(int)
    starts = [int(rng.integers(0, len(words) - length)) for length in lengths]
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


def _lengths(texts: list[str]) -> str:
    model = load_model(DEFAULT_BACKBONE, _MAX_LENGTH)
    tokens = [len(each) for each in model.tokenizer(texts, truncation=True, max_length=_MAX_LENGTH)["input_ids"]]
    padded = [max(tokens[start : start + _BATCH]) for start in range(0, len(tokens), _BATCH)]
    return f"{statistics.mean(tokens):.0f} | {statistics.mean(padded):.0f}"


def _trainers(texts: list[str], loss: str) -> dict[str, Callable[[], float]]:
    scores = np.linspace(0, 1, len(texts) // 2, dtype=np.float32)
    return {
        "plain": lambda: _plain(texts, loss, scores),
        "float32": lambda: _ours(texts, loss, scores, "float32"),
        "auto": lambda: _ours(texts, loss, scores, "auto"),
    }


def _plain(texts: list[str], loss: str, scores: np.ndarray) -> float:
    model = load_model(DEFAULT_BACKBONE, _MAX_LENGTH)
    columns = {"anchor": texts[0::2], "positive": texts[1::2]}
    if loss == "CoSENTLoss":
        columns["score"] = scores.tolist()
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=_BATCH // 2,
                learning_rate=1e-4,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(columns),
            loss=getattr(losses, loss)(model),
        )
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def _ours(texts: list[str], loss: str, scores: np.ndarray, precision: str) -> float:
    pairs = np.arange(len(texts)).reshape(-1, 2)
    scored = scores if loss == "CoSENTLoss" else None
    examples = TrainingSet(Contents.of_texts(texts), np.arange(len(texts)) // 2, pairs, scores=scored)
    options = f'{{"precision": "{precision}"}}'
    config = FinetuneConfig(loss=loss, epochs=1, learning_rate=1e-4, batch_size=_BATCH, train_options=options)
    model = load_model(DEFAULT_BACKBONE, _MAX_LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        return train(model, examples, config, CheckpointStore("", "speed", Path(folder))).seconds


def _encoders(texts: list[str]) -> dict[str, Callable[[], float]]:
    model = load_model(DEFAULT_BACKBONE, _MAX_LENGTH)
    contents = Contents.of_texts(texts)
    exact = model.encode(texts, batch_size=_BATCH)
    found = encode_contents(model, contents, EncodingRole.QUERY, _BATCH, "")
    least = (exact * found).sum(axis=1).min()
    print(f"least cosine to float32: {least:.6f}")

    def plain() -> float:
        started = time.perf_counter()
        SentenceTransformer.encode(model, texts, batch_size=_BATCH)
        return time.perf_counter() - started

    def ours(precision: str) -> float:
        started = time.perf_counter()
        encode_contents(model, contents, EncodingRole.QUERY, _BATCH, "", precision)
        return time.perf_counter() - started

    return {"plain": plain, "float32": lambda: ours("float32"), "auto": lambda: ours("auto")}


if __name__ == "__main__":
    main()
