"""Which texts are computed together: texts of like length, so that little is padded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from shelfcheck.models.transformer.texts import Tokens

    Ints = npt.NDArray[np.int64]

_POOL: Final = 64  # batches that are sorted by length together: more pad less, and mix less


def training_batches(lengths: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """The batches of an epoch: every text once, shuffled, those of like length together.

    The same arguments give the same batches, so that a resumed run needs to know its place only.

    Args:
        lengths: pieces of each text, (n).
        batch_size: texts in a batch; the last one may have fewer.
        seed: of the order.
        epoch: each has another order.

    Returns:
        places of texts, one array a batch.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches = []
    for first in range(0, len(order), batch_size * _POOL):
        pool = order[first : first + batch_size * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def prediction_batches(lengths: Ints, most_tokens: int) -> Iterator[Ints]:
    """All texts, longest first, in batches of at most `most_tokens` pieces, padding included.

    The longest come first so that what does not fit into memory fails at once, and not at the end.
    """
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        longest = max(int(lengths[order[first]]), 1)
        last = first + max(1, most_tokens // longest)
        yield order[first:last]
        first = last


def padded(tokens: Tokens, places: Ints, pad: int, *, multiple: int = 1, most: int = 0) -> tuple[Ints, Ints]:
    """Texts side by side.

    Args:
        tokens: all texts.
        places: which ones, (m).
        pad: the piece that fills up.
        multiple: the width is rounded up to a multiple of it, which fast devices like.
        most: the rounding goes no further than this.

    Returns:
        pieces int64 (m, width), and 1 where there is one and 0 where it was filled up, int64 (m, width);
        a text without any has one that fills up and counts, for a mean needs something.
    """
    lengths = tokens.lengths[places]
    longest = max(int(lengths.max(initial=1)), 1)
    width = max(longest, min(-(-longest // multiple) * multiple, most))
    there = np.arange(width) < lengths[:, None]
    ids = np.full((len(places), width), pad, np.int64)
    starts = tokens.indptr[places]
    ids[there] = np.concatenate(
        [tokens.ids[a : a + n] for a, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    )
    there[lengths == 0, 0] = True
    return ids, there.astype(np.int64)
