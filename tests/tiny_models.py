"""Tiny models with random weights, saved as a hub gives them: a folder of transformers with its processor."""

from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer
from tokenizers.pre_tokenizers import ByteLevel

from embedtune.models.modules.pointnet import PointNet

SIDE = 32
"""Height and width of the images that they read."""

_ENCODER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_SMALL = {**_ENCODER, "intermediate_size": 64}
_PATCHES = {"image_size": SIDE, "patch_size": 8}
_SQUARE = {"height": SIDE, "width": SIDE}


def save_tiny(kind: str, folder: Path) -> None:
    """Write one of KINDS."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        KINDS[kind](folder)


def _clip_tokenizer() -> transformers.CLIPTokenizerFast:
    signs = sorted(ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *signs, *(f"{sign}</w>" for sign in signs)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.CLIPTokenizerFast(vocab=vocabulary, merges=[], model_max_length=SIDE)


def _clip(folder: Path) -> None:
    tokenizer = _clip_tokenizer()
    text = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=SIDE,
        projection_dim=24,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        **_SMALL,
    )
    vision = transformers.CLIPVisionConfig(projection_dim=24, **_SMALL, **_PATCHES)
    config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    transformers.CLIPModel(config).save_pretrained(folder)
    images = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    transformers.CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def _siglip(folder: Path) -> None:
    tokenizer = _clip_tokenizer()
    text = transformers.SiglipTextConfig(vocab_size=len(tokenizer), max_position_embeddings=SIDE, **_SMALL)
    vision = transformers.SiglipVisionConfig(**_SMALL, **_PATCHES)
    config = transformers.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    transformers.SiglipModel(config).save_pretrained(folder)
    images = transformers.SiglipImageProcessor(size=_SQUARE)
    transformers.SiglipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def _siglip2(folder: Path) -> None:
    """The variant that reads images of any shape."""
    tokenizer = _clip_tokenizer()
    text = transformers.Siglip2TextConfig(vocab_size=len(tokenizer), max_position_embeddings=SIDE, **_SMALL)
    vision = transformers.Siglip2VisionConfig(num_patches=64, patch_size=16, **_SMALL)
    config = transformers.Siglip2Config(text_config=text.to_dict(), vision_config=vision.to_dict())
    transformers.Siglip2Model(config).save_pretrained(folder)
    images = transformers.Siglip2ImageProcessor()
    transformers.Siglip2Processor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def _vit(folder: Path) -> None:
    transformers.ViTModel(transformers.ViTConfig(**_SMALL, **_PATCHES)).save_pretrained(folder)
    transformers.ViTImageProcessor(size=_SQUARE).save_pretrained(folder)


def _dinov2(folder: Path) -> None:
    transformers.Dinov2Model(transformers.Dinov2Config(**_ENCODER, **_PATCHES)).save_pretrained(folder)
    transformers.BitImageProcessor(size={"shortest_edge": SIDE}, crop_size=_SQUARE).save_pretrained(folder)


def _resnet(folder: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": SIDE}).save_pretrained(folder)


def _convnext(folder: Path) -> None:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    transformers.ConvNextModel(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": SIDE}).save_pretrained(folder)


def _efficientnet(folder: Path) -> None:
    config = transformers.EfficientNetConfig(
        image_size=SIDE, width_coefficient=0.25, depth_coefficient=0.2, hidden_dim=320, initializer_range=0.3
    )
    model = transformers.EfficientNetModel(config)
    _measure_batches(model, torch.randn(16, 3, 1, 1) + torch.randn(16, 3, SIDE, SIDE))
    model.save_pretrained(folder)
    transformers.EfficientNetImageProcessor(size=_SQUARE).save_pretrained(folder)


def _measure_batches(model: torch.nn.Module, images: torch.Tensor) -> None:
    """Let batch normalisation know what its layers see; with the statistics it begins with, random layers fade to 0."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(images)


def _pointnet(folder: Path) -> None:
    small = PointNet(dimension=12, points=64, centres=(16, 4), width=0.125)
    SentenceTransformer(modules=[small], device="cpu").save(str(folder), create_model_card=False)


KINDS: dict[str, Callable[[Path], None]] = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "vit": _vit,
    "dinov2": _dinov2,
    "resnet": _resnet,
    "convnext": _convnext,
    "efficientnet": _efficientnet,
    "pointnet": _pointnet,
}
