"""How many heads: a layer's width is shared out, and with it what a head can compare."""

from collections.abc import Sequence

import torch
from torch import Tensor


def head_scores_rank(w_q: Tensor, w_k: Tensor, num_heads: int) -> list[int]:
    """Measure the rank of each head's score matrix W_Q W_K^T.

    The score of head i between two tokens is (x_s W_Q_i) (x_t W_K_i)^T = x_s (W_Q_i W_K_i^T) x_t^T:
    all that the head compares stands in one matrix (D, D). Its rank is at most d, the width of the
    head, and at most D; it can be less.

    Args:
        w_q, w_k: projections (D, h·d); the columns i·d … (i+1)·d - 1 belong to head i.
        num_heads: h.

    Returns:
        h ranks, head 0's first. Singular values that are only rounding noise do not count: the
        limit is that of `torch.linalg.matrix_rank`.

    Raises:
        ValueError: if h does not divide the projections' width, or the two widths differ.

    Source: Bhojanapalli et al. 2020 (arXiv 2002.07028), the low-rank bottleneck.
    """
    ### BEGIN SOLUTION
    width = w_q.shape[1]
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {width}")
    if w_k.shape[1] != width:
        raise ValueError(f"queries are {width} wide, keys {w_k.shape[1]}")
    dtype = torch.promote_types(w_q.dtype, torch.float32)  # no singular values in half precision
    d = width // num_heads
    ranks = []
    for i in range(num_heads):
        mine = slice(i * d, (i + 1) * d)
        scores = w_q[:, mine].to(dtype) @ w_k[:, mine].to(dtype).T  # (D, d) @ (d, D)
        ranks.append(int(torch.linalg.matrix_rank(scores)))
    return ranks
    ### END SOLUTION


def head_count_options(d_model: int, head_dims: Sequence[int] = (64, 128)) -> list[int]:
    """List the head counts that cut a width into heads of one of the usual widths.

    Args:
        d_model: D, 1 or more.
        head_dims: widths of a head that are wanted, each 1 or more, in any order.

    Returns:
        Every h with h·d = D for a wanted d, ascending, without repeats: 768 gives [6, 12]. Empty
        when no wanted width divides D.

    Raises:
        ValueError: if D or a wanted width is below 1.
    """
    ### BEGIN SOLUTION
    for number in (d_model, *head_dims):
        if number < 1:
            raise ValueError(f"widths must be 1 or more, got {number}")
    return sorted({d_model // d for d in head_dims if d_model % d == 0})
    ### END SOLUTION
