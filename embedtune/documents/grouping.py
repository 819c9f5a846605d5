"""Which texts are the same and which rows hang together: the ground on which a leak-free split stands."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedtune.progress import Advance

_DIGEST_BYTES = 16
_BATCH = 20_000


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What a split needs to know about D distinct texts with K distinct content keys."""

    ids: pa.Array
    """Document ids (D,): the first 128 bits of the text's SHA-256 in hexadecimal."""
    words: npt.NDArray[np.int32]
    """Number of white-space separated words (D,)."""
    keys: npt.NDArray[np.int64]
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


def fingerprint(texts: pa.Array, seed: int, advance: Advance) -> Fingerprints:
    """Compute ids, lengths, content keys and seeded draws.

    A draw depends on the seed and the content key only, not on the row order or on other rows: when the data grow, old
    texts tend to stay on their side of the split.

    Args:
        texts: Distinct texts (D,).
        seed: Seed of the draws, 0..2**64-1.
        advance: Called with the number of texts just done.
    """
    ids: list[pa.Array] = []
    words: list[npt.NDArray[np.int32]] = []
    digests: list[bytes] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts.slice(start, _BATCH).to_pylist()
        ids.append(pa.array([_document_id(text) for text in batch], pa.string()))
        words.append(np.fromiter((len(text.split()) for text in batch), np.int32, len(batch)))
        digests.append(_key_digests(batch, seed.to_bytes(8, "big")))
        advance(len(batch))
    keys, draws = _dense_keys(b"".join(digests))
    return Fingerprints(pa.concat_arrays(ids), np.concatenate(words), keys, draws)


def _document_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _DIGEST_BYTES]


def _key_digests(texts: Sequence[str], salt: bytes) -> bytes:
    return b"".join(
        hashlib.blake2b(content_key(text).encode(), digest_size=_DIGEST_BYTES, key=salt).digest() for text in texts
    )


def _dense_keys(digests: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Number the distinct digests in order of first sight; the draw is a digest's first 8 bytes."""
    count = len(digests) // _DIGEST_BYTES
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_DIGEST_BYTES), count, [None, pa.py_buffer(digests)])
    encoded = array.dictionary_encode()
    words = np.frombuffer(encoded.dictionary.buffers()[1], ">u8", _DIGEST_BYTES // 8 * len(encoded.dictionary))
    draws = words[:: _DIGEST_BYTES // 8].astype(np.uint64)
    return encoded.indices.to_numpy().astype(np.int64), draws


def connected_components(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], nodes: int
) -> npt.NDArray[np.int64]:
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


def _flatten(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent
