"""Counter-based random numbers on tensors: bit for bit those of `sits_data.philox`.

Source: Salmon, Moraes, Dror and Shaw, SC 2011, Philox4x32-10.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sits_data.philox import LOW_32, MULTIPLIERS, ROUNDS, WEYL
from sits_models.ops.compiled import philox_words

Word = Tensor | int


def philox(key: tuple[Word, Word], counter: tuple[Word, Word, Word, Word]) -> Tensor:
    """Four random words for each key and counter.

    Products of two words overflow int64, but keep all 64 bits.

    Args:
        key: two int64 tensors or integers, taken modulo 2³².
        counter: four of them; all six are broadcast against each other, at least one is a tensor.

    Returns:
        (…, 4) int64, 0 … 2³²-1.
    """
    parts = _tensors([*key, *counter])
    return _on_cpu(parts) if parts[0].device.type == "cpu" else rounds(parts)


def rounds(parts: Sequence[Tensor]) -> Tensor:
    """The definition by tensor operations, which a GPU runs; a CPU has a compiled twin.

    Args:
        parts: two keys and four counters, int64 of one shape.

    Returns:
        (…, 4) int64, 0 … 2³²-1.
    """
    k0, k1, c0, c1, c2, c3 = (part & LOW_32 for part in parts)
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((product1 >> 32) & LOW_32) ^ c1 ^ k0,
            product1 & LOW_32,
            ((product0 >> 32) & LOW_32) ^ c3 ^ k1,
            product0 & LOW_32,
        )
        k0, k1 = (k0 + WEYL[0]) & LOW_32, (k1 + WEYL[1]) & LOW_32
    return torch.stack([c0, c1, c2, c3], dim=-1)


def below(words: Tensor, limit: Word) -> Tensor:
    """Random words as integers 0 … limit-1.

    Args:
        words: int64, 0 … 2³²-1.
        limit: at least 1, below 2³¹, broadcast against `words`.
    """
    return (words * limit) >> 32


def uniform(words: Tensor) -> Tensor:
    """Random words as float64 in [0, 1)."""
    return words.double() / 2**32


def _tensors(words: list[Word]) -> list[Tensor]:
    """All of one shape, on one device."""
    device = next(word.device for word in words if isinstance(word, Tensor))
    parts = [torch.as_tensor(word, dtype=torch.int64, device=device) for word in words]
    return list(torch.broadcast_tensors(*parts))  # type: ignore[no-untyped-call]


def _on_cpu(parts: list[Tensor]) -> Tensor:
    inputs = torch.stack(parts)
    words = torch.empty((*inputs.shape[1:], 4), dtype=torch.int64)
    philox_words(inputs.flatten(1).numpy(), words.view(-1, 4).numpy())
    return words
