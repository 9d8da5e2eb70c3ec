"""One head, one blend: what a single head can do, and what several independent ones add."""

import torch  # noqa: F401  (at hand for your own way of doing it)
from torch import Tensor

from .attention import scaled_dot_product_attention


def single_head_attention(
    x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Let every token of a sequence look at the sequence once.

    Args:
        x: tokens (B, T, D).
        w_q, w_k: query and key projections (D, d).
        w_v: value projection (D, d_v).
        mask: boolean, broadcastable to the weights (B, T, T); True = may attend.

    Returns:
        out (B, T, d_v) and weights (B, T, T).

    Raises:
        ValueError: if a projection's first dimension is not D; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    raise NotImplementedError


def independent_heads(
    x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run h heads side by side, each with its own projections, on the same tokens.

    Args:
        x: tokens (B, T, D).
        w_q, w_k, w_v: projections (h, D, d), one matrix a head.
        mask: boolean, broadcastable to the weights (B, h, T, T); True = may attend.

    Returns:
        out (B, h, T, d) and weights (B, h, T, T): head i's part is what head i alone would give.

    Raises:
        ValueError: if the projections disagree in h, or their second dimension is not D.

    Source: Vaswani et al. 2017, section 3.2.2 (head_i).
    """
    raise NotImplementedError


def unexplained_floor(num_heads: int, num_lookups: int) -> float:
    """Give the least share of variance that h blends leave of m distinct targets.

    A query should return the values of m different tokens. A head returns one convex blend of
    values, so h heads with a linear read-out recover h of the m targets exactly and, the targets
    being independent, nothing of the others.

    Args:
        num_heads: h, 1 or more.
        num_lookups: m, 1 or more.

    Returns:
        1 - h/m while h < m, and 0.0 from h = m on.

    Raises:
        ValueError: if either number is below 1; the message names both.
    """
    raise NotImplementedError
