"""Models of images and points as MLflow serves them: the vectors of the model, and nothing opened that was sent."""

import base64
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image

from embedtune.models.card import CARD_FILE, ModelCard
from embedtune.models.loading import embedding_dimension, load_model
from embedtune.models.options import ModelOptions
from embedtune.models.saving import save_model
from embedtune.models.tailoring import tailor
from embedtune.registry.packaging import requirement_lines, write_package

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3)).astype(np.uint8)
CLOUDS = np.random.default_rng(1).normal(size=(2, 80, 3)).astype(np.float32)


def encoded(image: Image.Image, kind: str = "PNG") -> str:
    sink = io.BytesIO()
    image.save(sink, kind)
    return base64.b64encode(sink.getvalue()).decode()


@pytest.fixture(scope="module")
def served(tiny_models: Callable[[str], Path], model_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Package a tiny model of a kind, and load it as MLflow does."""

    def make(kind: str, tower: str = ""):
        package = tmp_path_factory.mktemp(kind)
        folder = package / "artifacts" / "model"
        model = tailor(load_model(str(tiny_models(kind)), 0), ModelOptions(select_model=tower), 0)
        save_model(model, folder)
        card = dataclasses.replace(ModelCard.load(model_folder), dimension=embedding_dimension(model))
        card.save(folder)
        assert (folder / CARD_FILE).is_file()
        write_package(package, folder, card, "m-1", "run")
        return model, mlflow.pyfunc.load_model(str(package)), requirement_lines(card, folder)

    return make


@pytest.mark.parametrize("kind", ["vit", "resnet", "clip", "siglip"])
def test_images(served, kind: str) -> None:
    model, service, requirements = served(kind)
    images = [Image.fromarray(pixels) for pixels in PIXELS]
    found = service.predict(pd.DataFrame({"image": [encoded(image) for image in images]}))
    np.testing.assert_allclose(found, model.encode(images), rtol=0, atol=1e-5)
    assert found.dtype == np.float32
    names = [line.partition("==")[0] for line in requirements]
    assert ("Pillow" in names, "embedtune" in names) == (True, False)


def test_texts_of_a_model_that_reads_images_too(served, tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    model, service, _ = served("clip")
    texts = ["a red house", str(tmp_path / "a.png"), "http://127.0.0.1:1/x.png", "data:image/png;base64,AAAA"]
    found = service.predict(pd.DataFrame({"text": texts}))
    np.testing.assert_allclose(found, model.encode([{"text": text} for text in texts]), rtol=0, atol=1e-5)
    with pytest.raises((ValueError, MlflowException)):
        service.predict(pd.DataFrame({"text": ["a"], "image": [encoded(Image.fromarray(PIXELS[0]))]}))


def test_one_tower(served) -> None:
    image = Image.fromarray(PIXELS[0])
    for kind in ("clip", "siglip"):
        model, service, requirements = served(kind, "clip-vision")
        found = service.predict(pd.DataFrame({"image": [encoded(image)]}))
        np.testing.assert_allclose(found, model.encode([image]), rtol=0, atol=1e-6)
        assert not any(line.startswith("embedtune") for line in requirements)
        model, service, requirements = served(kind, "clip-text")
        texts = ["a", "a longer text", "http://127.0.0.1:1/x.png"]
        expected = np.concatenate([model.encode([text]) for text in texts])
        np.testing.assert_allclose(service.predict(texts), expected, rtol=0, atol=1e-5)
        with pytest.raises((ValueError, MlflowException)):
            service.predict(pd.DataFrame({"image": [encoded(image)]}))


def test_points(served) -> None:
    model, service, requirements = served("pointnet")
    found = service.predict(pd.DataFrame({"points": [cloud.astype(float).tolist() for cloud in CLOUDS]}))
    np.testing.assert_allclose(found, model.encode([{"points": cloud} for cloud in CLOUDS]), rtol=0, atol=1e-5)
    assert [line.partition("==")[0] for line in requirements][-1] == "embedtune"
    for bad in ([[0.0, 1.0]], [[0.0, 1.0, float("nan")]], []):
        with pytest.raises((ValueError, MlflowException)):
            service.predict(pd.DataFrame({"points": [bad]}))


def test_what_is_no_image_is_neither_opened_nor_decoded(
    served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS[0]).save(path)
    _, service, _ = served("vit")
    bomb = encoded(Image.new("1", (9000, 9000)))
    gif = encoded(Image.fromarray(PIXELS[0]), "GIF")
    cut = encoded(Image.fromarray(PIXELS[0]))[:400]
    sent = {str(path): "no image that is read", "http://127.0.0.1:1/x.png": "no image", bomb: "9000 x 9000 pixels"}
    for value, message in {**sent, gif: "no image that is read", cut: "no image that is read"}.items():
        with pytest.raises(ValueError, match=f"Row 0 .*{message}.*JPEG or PNG file in base64"):
            service.predict(pd.DataFrame({"image": [value]}))


def test_transparent_and_turned_images_are_read_as_the_data_are(served) -> None:
    model, service, _ = served("resnet")
    image = Image.fromarray(PIXELS[0])
    clear = Image.new("RGBA", image.size, (255, 0, 0, 0))
    sink, turned = io.BytesIO(), Image.Exif()
    turned[0x0112] = 3
    image.save(sink, "PNG", exif=turned)
    sent = [encoded(clear), base64.b64encode(sink.getvalue()).decode()]
    expected = model.encode([Image.new("RGB", image.size, "white"), image.transpose(Image.Transpose.ROTATE_180)])
    np.testing.assert_allclose(service.predict(pd.DataFrame({"image": sent})), expected, rtol=0, atol=1e-5)
