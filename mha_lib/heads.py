"""Multi-head attention: split, run, concatenate, project."""

import torch  # noqa: F401  (at hand for your own way of doing it)
from torch import Tensor

from .attention import scaled_dot_product_attention


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cut the last dimension into h slices and make each slice a head.

    Head i gets the columns i·d … (i+1)·d - 1 of every token.

    Args:
        x: projected tokens (B, T, h·d).
        num_heads: h.

    Returns:
        (B, h, T, d)

    Raises:
        ValueError: if h does not divide the width; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.2.2.
    """
    raise NotImplementedError


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads' outputs side by side again: the inverse of `split_heads`.

    Args:
        x: the heads' outputs (B, h, T, d).

    Returns:
        (B, T, h·d), the columns i·d … (i+1)·d - 1 from head i.

    Source: Vaswani et al. 2017, section 3.2.2 (Concat).
    """
    raise NotImplementedError


def multi_head_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    num_heads: int,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Split, run, concatenate, project.

    MultiHead(x) = Concat(head_1, …, head_h) W_O,  head_i = Attention(x W_Q_i, x W_K_i, x W_V_i)

    Args:
        x: tokens (B, T, D).
        w_q, w_k, w_v: projections (D, h·d); the columns i·d … (i+1)·d - 1 belong to head i.
            h·d = D is the usual case, not a rule.
        w_o: output projection (h·d, D).
        num_heads: h.
        mask: boolean, broadcastable to the weights (B, h, T, T); True = may attend.

    Returns:
        out (B, T, D) and weights (B, h, T, T).

    Raises:
        ValueError: if h does not divide the projections' width; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.2.2.
    """
    raise NotImplementedError
