"""What a model was trained on, kept beside it."""

import hashlib
import pickle

import numpy as np
import pytest

from embedtune.errors import ModelError
from embedtune.models.backbones import Backbone, Place
from embedtune.models.trained_texts import TRAINED_FILE, load_trained, save_trained, trained_digests


def load(folder):
    return load_trained(Backbone("mine", str(folder), Place.FOLDER))


def test_a_digest_is_of_what_the_split_takes_for_the_same():
    texts = ["Straße  ÖFFNEN", "strasse o\u0308ffnen", "strasse öffnen", "other", b"other", ""]
    digests = trained_digests(texts)
    assert digests.dtype == np.uint64
    assert len({*digests[:3].tolist()}) == 1
    assert digests[3] == digests[4] == int.from_bytes(hashlib.blake2b(b"other", digest_size=8).digest(), "little")
    assert len({*digests.tolist()}) == 3
    assert trained_digests([]).shape == (0,)


def test_round_trip_sorted_and_once(tmp_path):
    digests = trained_digests(["b", "a", "B", "c"])
    save_trained(tmp_path, digests, None)
    assert load(tmp_path).tolist() == sorted({*digests.tolist()})
    assert (tmp_path / TRAINED_FILE).stat().st_size == 128 + 3 * 8


def test_a_chain_keeps_what_its_links_saw(tmp_path):
    for number, texts in enumerate((["a", "b"], ["b", "c"], ["d"])):
        (tmp_path / str(number)).mkdir()
        before = load(tmp_path / str(number - 1)) if number else None
        save_trained(tmp_path / str(number), trained_digests(texts), before)
    assert load(tmp_path / "2").tolist() == sorted(trained_digests(["a", "b", "c", "d"]).tolist())


def test_nothing_was_kept(tmp_path):
    assert load(tmp_path) is None
    save_trained(tmp_path, trained_digests([]), None)
    assert load(tmp_path).tolist() == []


class RunsCode:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "kind", ["pickle", "objects", "cut", "empty", "claims much", "zip", "floats", "table", "order"]
)
def test_a_file_that_is_not_ours(tmp_path, kind):
    path = tmp_path / TRAINED_FILE
    save_trained(tmp_path, trained_digests(["a", "b", "c"]), None)
    content = path.read_bytes()
    arrays = {
        "objects": np.array([RunsCode()], object),
        "floats": np.array([1.0, 2.0]),
        "table": np.zeros((2, 2), "<u8"),
        "order": np.array([3, 1, 2], "<u8"),
    }
    if kind in arrays:
        np.save(path, arrays[kind], allow_pickle=True)
    elif kind == "zip":
        with path.open("wb") as file:
            np.savez(file, content=arrays["order"])
    else:
        path.write_bytes(
            {
                "pickle": pickle.dumps(RunsCode()),
                "cut": content[:-3],
                "one less": content[:-8],
                "empty": b"",
                "claims much": header(b"{'descr': '<u8', 'fortran_order': False, 'shape': (1152921504606846975,), }\n"),
            }[kind]
        )
    with pytest.raises(ModelError, match=rf"Backbone 'mine': {TRAINED_FILE} is damaged .* Copy the model anew"):
        load(tmp_path)
