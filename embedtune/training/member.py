"""One of the processes of a training: `python -m embedtune.training.member FOLDER RANK COUNT`; see `launching`."""

import json
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType

from embedtune.importing import importing
from embedtune.training.checkpoints import Keeping
from embedtune.training.config import FinetuneConfig
from embedtune.training.launching import tell_error


def main() -> None:
    """Take part in the training that `job.json` describes."""
    folder, rank, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        tell_error(folder, rank, error, "".join(traceback.format_exception(kind, error, trace)))

    sys.excepthook = tell
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with importing("sentence_transformers"):  # seconds, in which the parent may end
        from embedtune.training.processes import joined
        from embedtune.training.taking_part import take_part

    # It would warn that it does not use the group of processes, which is for us to use.
    logging.getLogger("transformers.training_args").setLevel(logging.ERROR)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    config = FinetuneConfig(**job["config"])
    with joined(rank, count, folder / "meeting") as processes:
        take_part(Path(job["documents"]), Path(job["model_folder"]), config, Keeping(**job["keeping"]), processes)


def _end_with_parent() -> None:
    """Wait for the end of the standard input, which only the parent's end brings."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
