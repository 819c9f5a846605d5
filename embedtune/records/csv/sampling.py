"""Keep a random part of the rows."""

from hashlib import blake2b

_DIGEST_BYTES = 8


class RowSampler:
    """Decides for each row by a hash of its text and a seed whether it is kept.

    So a row is kept or not whatever stands before it, and a file cut into several gives the same rows. Rows of the same
    text are kept or dropped together.
    """

    def __init__(self, rate: float, seed: int) -> None:
        """Prepare to keep rows with the probability `rate`, 0..1."""
        self._limit = int(rate * 256**_DIGEST_BYTES)
        self._hash = blake2b(f"{seed}:".encode(), digest_size=_DIGEST_BYTES)

    def keeps(self, row: str) -> bool:
        """Whether a row is kept, given its text without the line end."""
        digest = self._hash.copy()
        digest.update(row.encode())
        return int.from_bytes(digest.digest()) < self._limit
