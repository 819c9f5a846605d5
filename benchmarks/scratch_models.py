"""Small models with random weights, for contents of which no pretrained model is at hand; the same ones each time."""

import csv
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import transformers

_SEED = 0
_SIDE = 64
_VOCABULARY = 2000
_LONGEST = 24
_LETTERS = string.ascii_lowercase + string.digits


def write_resnet(_: Path | None, folder: Path) -> None:
    """Write a ResNet of 13 layers and 0.7 million parameters that reads images of 64 x 64."""
    import transformers

    config = transformers.ResNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 128], depths=[2, 2, 2], layer_type="basic"
    )
    _seeded(lambda: transformers.ResNetModel(config).save_pretrained(folder))
    transformers.ViTImageProcessor(size={"height": _SIDE, "width": _SIDE}).save_pretrained(folder)


def write_vit(_: Path | None, folder: Path) -> None:
    """Write a ViT of the size Tiny (12 layers, 192 components, 5.5 million parameters) for images of 224 x 224."""
    import transformers

    config = transformers.ViTConfig(hidden_size=192, num_attention_heads=3, intermediate_size=768)
    _seeded(lambda: transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder))
    transformers.ViTImageProcessor(size={"height": 224, "width": 224}).save_pretrained(folder)


def write_two_towers(source: Path | None, folder: Path) -> None:
    """Write a CLIP of two transformers of 4 layers and 128 components, with a vocabulary of the texts of `source`.

    The vocabulary is the only thing that is taken from the data, held-out texts included; it is no knowledge of which
    image belongs to a text.
    """
    import transformers

    if source is None:
        raise ValueError("the vocabulary is made from texts")
    tokenizer = _tokenizer(source)
    small = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}
    text = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=_LONGEST,
        projection_dim=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **small,
    )
    vision = transformers.CLIPVisionConfig(projection_dim=128, image_size=_SIDE, patch_size=16, **small)
    config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=128)
    _seeded(lambda: transformers.CLIPModel(config).save_pretrained(folder))
    square = {"height": _SIDE, "width": _SIDE}
    images = transformers.CLIPImageProcessor(size={"shortest_edge": _SIDE}, crop_size=square)
    transformers.CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def write_pointnet(_: Path | None, folder: Path) -> None:
    """Write a PointNet++ that reads 512 points, with a quarter of the width and of the centres of `pointnet-base`."""
    from sentence_transformers import SentenceTransformer

    from embedtune.models.modules.pointnet import PointNet

    def save() -> None:
        small = PointNet(dimension=128, points=512, centres=(128, 32), width=0.25)
        SentenceTransformer(modules=[small], device="cpu").save(str(folder), create_model_card=False)

    _seeded(save)


def write_bert(folder: Path) -> None:
    """Write a BERT of 2 layers and 32 components that reads letters, with the usual dropout."""
    import transformers
    from sentence_transformers import SentenceTransformer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )

    def save() -> None:
        transformers.BertModel(config).save_pretrained(folder / "bert")
        vocabulary = {word: number for number, word in enumerate(words)}
        transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder / "bert")
        SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "model"), create_model_card=False)

    _seeded(save)


def _seeded(make: Callable[[], None]) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)
        make()


def _tokenizer(source: Path) -> "transformers.CLIPTokenizerFast":
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    signs = sorted(ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *signs, *(f"{sign}</w>" for sign in signs)]
    vocabulary = {word: number for number, word in enumerate(words)}
    bare = transformers.CLIPTokenizerFast(vocab=vocabulary, merges=[], model_max_length=_LONGEST)
    return bare.train_new_from_iterator(_texts(source), _VOCABULARY)


def _texts(source: Path) -> Iterator[str]:
    with source.open(encoding="utf-8", newline="") as file:
        yield from (row["text"] for row in csv.DictReader(file))
