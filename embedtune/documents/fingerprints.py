"""Which contents are the same and which rows hang together: the ground on which a leak-free split stands."""

import hashlib
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import content_id
from embedtune.progress import Advance

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]
"""Members of an IntEnum."""

_DIGEST_BYTES = 16
_BATCH = 20_000


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What a split needs to know about D distinct contents with K distinct content keys."""

    ids: pa.Array
    """Document ids (D,): the first 128 bits of the content's SHA-256 in hexadecimal."""
    words: npt.NDArray[np.int32]
    """Number of white-space separated words of a text, 0 for other contents (D,)."""
    keys: Numbers
    """Dense number of the content key, 0..K-1 (D,)."""
    draws: npt.NDArray[np.uint64]
    """Seeded random number of each content key (K,)."""


def content_key(text: str) -> str:
    """Return what texts share that differ only in case, Unicode form and white space.

    This is Unicode's compatibility caseless form (Unicode 15, definition D146) with white space collapsed.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def fingerprint(values: pa.Array, texts: int, loaded: bool, seed: int, advance: Advance) -> Fingerprints:
    """Compute ids, lengths, content keys and seeded draws of distinct contents, and tell how many more are done.

    A draw depends on the seed and the content key only, not on the row order or on other rows: when the data grow, old
    texts tend to stay on their side of the split. What is no text is its own key, and never that of a text.

    Args:
        values: The contents (D,): texts, and behind them SHA-256 of others in hexadecimal, or their addresses.
        texts: How many are texts, 0..D.
        loaded: Whether the others are given by their SHA-256.
        seed: Seed of the draws, 0..2**64-1.
        advance: Called with the number of contents just done.
    """
    salt = seed.to_bytes(8, "big")
    ids: list[pa.Array] = []
    words: list[npt.NDArray[np.int32]] = []
    digests: list[bytes] = []
    for start in range(0, texts, _BATCH):
        batch = values.slice(start, min(_BATCH, texts - start)).to_pylist()
        ids.append(pa.array([content_id(text.encode()) for text in batch], pa.string()))
        words.append(np.fromiter((len(text.split()) for text in batch), np.int32, len(batch)))
        digests.append(b"".join(_digest(content_key(text), salt) for text in batch))
        advance(len(batch))
    keys, draws = _dense_keys(b"".join(digests))
    others = values[texts:]
    names = others.to_pylist()
    if loaded:
        ids.append(pc.utf8_slice_codeunits(others, 0, 2 * _DIGEST_BYTES).cast(pa.string()))
    else:
        ids.append(pa.array([content_id(name.encode()) for name in names], pa.string()))
    other_keys, other_draws = _dense_keys(b"".join(_digest(name, salt) for name in names))
    advance(len(names))
    return Fingerprints(
        pa.concat_arrays(ids),
        np.concatenate([*words, np.zeros(len(names), np.int32)]),
        np.concatenate([keys, other_keys + len(draws)]),
        np.concatenate([draws, other_draws]),
    )


def _digest(key: str, salt: bytes) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES, key=salt).digest()


def _dense_keys(digests: bytes) -> tuple[Numbers, npt.NDArray[np.uint64]]:
    """Number the distinct digests in order of first sight; the draw is a digest's first 8 bytes."""
    count = len(digests) // _DIGEST_BYTES
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_DIGEST_BYTES), count, [None, pa.py_buffer(digests)])
    encoded = array.dictionary_encode()
    words = np.frombuffer(encoded.dictionary.buffers()[1], ">u8", _DIGEST_BYTES // 8 * len(encoded.dictionary))
    draws = words[:: _DIGEST_BYTES // 8].astype(np.uint64)
    return encoded.indices.to_numpy().astype(np.int64), draws


def distinct(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Return what np.unique with return_inverse does, without its sort; for numbers not far above their count.

    The D different ones of C numbers of 0..N-1, ascending (D,), and the position of each number among them (C,).
    """
    present = np.zeros(int(numbers.max(initial=-1)) + 1, np.bool_)
    present[numbers] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[numbers]


def connected_components(first: Numbers, second: Numbers, nodes: int) -> Numbers:
    """Find the connected components of an undirected graph.

    A union-find that hooks all roots at once: each round joins the roots at the two ends of every edge, smaller node
    first, halves the paths until they are flat, and drops the edges that became loops (algorithm RA with full
    shortcutting of Liu and Tarjan 2019, https://arxiv.org/abs/1812.06177). Rounds grow with the logarithm of the nodes.

    Args:
        first: One end of each edge (E,), 0..nodes-1.
        second: The other end of each edge (E,).
        nodes: Number of nodes.

    Returns:
        The smallest node of each node's component (nodes,).
    """
    parent = np.arange(nodes, dtype=np.int64)
    while first.size:
        smaller, larger = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(parent, larger, smaller)
        parent = _flatten(parent)
        first, second = parent[smaller], parent[larger]
        apart = first != second
        first, second = first[apart], second[apart]
    return parent


def _flatten(parent: Numbers) -> Numbers:
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent
