"""Memory and time of one step, plain and with what its gradient needs recomputed.

Each step is a process of its own: `python -m benchmarks.recompute` starts them and prints the table.
"""

import csv
import json
import subprocess
import sys
import time

import torch

from benchmarks import ROOT
from benchmarks.memory import peak_mib
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.models.loading import load_model
from embedtune.training.embedding import ColumnLoss
from embedtune.training.objectives import build_objective

_CASES = ((64, False), (256, False), (256, True), (1024, True))


def main() -> None:
    """Measure all cases, or the one that the arguments name."""
    if len(sys.argv) > 1:
        measured = _measure(int(sys.argv[1]), sys.argv[2] == "True")
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    sys.stdout.write("| batch | recompute | memory of the step | CPU time | loss | norm of the gradient |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    for size, recompute in _CASES:
        command = [sys.executable, "-m", "benchmarks.recompute", str(size), str(recompute)]
        told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        found = json.loads(told.splitlines()[-1])
        sys.stdout.write(
            f"| {size:,} | {'yes' if recompute else 'no'} | {found['mib']:,.0f} MiB | {found['seconds']:.1f} s "
            f"| {found['loss']:.9g} | {found['gradient']:.9g} |\n"
        )
        sys.stdout.flush()


def _measure(size: int, recompute: bool) -> dict[str, float]:
    """Return what a step with so many short texts takes, after one with four that the libraries get ready in."""
    torch.manual_seed(0)
    with (ROOT / "examples/support_tickets.csv").open(encoding="utf-8", newline="") as file:
        texts = [row[0] for row in list(csv.reader(file))[1:]]
    texts = (texts * (-(-size // len(texts))))[:size]
    model = load_model(DEFAULT_BACKBONE, 128).to("cpu").train()
    objective = build_objective("SupConLoss", model, 0, 384)
    loss = ColumnLoss(model, objective, recompute=recompute)
    loss([model.preprocess(texts[:4])], torch.arange(4) // 2).backward()
    features, labels = model.preprocess(texts), torch.arange(size) // 4
    model.zero_grad(set_to_none=False)
    before, started = peak_mib(), time.process_time()
    value = loss([features], labels)
    value.backward()
    seconds = time.process_time() - started
    gradient = torch.stack([weight.grad.norm() for weight in model.parameters() if weight.grad is not None]).norm()
    return {"mib": peak_mib() - before, "seconds": seconds, "loss": value.item(), "gradient": gradient.item()}


if __name__ == "__main__":
    main()
