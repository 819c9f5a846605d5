"""Plant wrong labels, and see how many are found and how many right ones are listed: the numbers of `docs/quality.md`.

python -m benchmarks.label_noise --shares 0,0.05,0.2
"""

import argparse
import csv
import random
import tempfile
from pathlib import Path

from benchmarks.data import ROOT, prepare
from embedtune.documents.schema import BuildOptions
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.models.comparing import ModelToEncode, encode_all
from embedtune.retrieval.held_out import read_held_out
from embedtune.retrieval.sides import BASE
from embedtune.retrieval.training_documents import read_training
from embedtune.steps.label_noise import find_label_noise, labelled_contents

_DATA = ROOT / "examples/support_tickets.csv"


def main() -> None:
    """Print one Markdown row for each share and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", default="0,0.05,0.2", help="of the labels to make wrong")
    parser.add_argument("--seeds", default="1,2,3")
    options = parser.parse_args()
    print("| wrong labels | seed | contents | planted | listed | planted among them | right label suggested |")
    print("|---|---|---|---|---|---|---|")
    for share in map(float, options.shares.split(",")):
        for seed in map(int, options.seeds.split(",")):
            print(_line(share, seed), flush=True)


def _line(share: float, seed: int) -> str:
    with _DATA.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    draw, labels = random.Random(seed), sorted({label for _, label in rows})
    planted = {}
    for row in draw.sample(range(len(rows)), round(share * len(rows))):
        text, right = rows[row]
        planted[text] = right
        rows[row] = text, draw.choice([label for label in labels if label != right])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        prepared = prepare(str(folder / "data.csv"), folder, BuildOptions(seed=seed))
        held_out, training = read_held_out(prepared.evaluation, folder), read_training(prepared.train, folder)
        labelled = labelled_contents(held_out, training, seed)
        model = ModelToEncode(DEFAULT_BACKBONE, "labelled", alone=training.index.contents)
        encoded = encode_all({BASE: model}, held_out.queries, held_out.index, 64)[BASE]
        noise = find_label_noise(labelled, encoded)
    listed = () if noise is None else noise.listed
    found = [each for each in listed if each.content in planted]
    right = sum(each.doubt.suggested == planted[each.content] for each in found)
    return f"| {share:.0%} | {seed} | {len(rows)} | {len(planted)} | {len(listed)} | {len(found)} | {right} |"


if __name__ == "__main__":
    main()
