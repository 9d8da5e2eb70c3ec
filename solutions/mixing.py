"""W_O as a mixing layer: what each head writes, and the layer without some of its heads."""

import torch  # noqa: F401  (at hand for your own way of doing it)
from torch import Tensor

from .heads import merge_heads


def output_slices(w_o: Tensor, num_heads: int) -> Tensor:
    """Cut W_O into the rows that belong to each head.

    Head i's outputs stand in the columns i·d … (i+1)·d - 1 of the concatenation, so they meet the
    rows i·d … (i+1)·d - 1 of W_O.

    Args:
        w_o: output projection (h·d, D).
        num_heads: h.

    Returns:
        (h, d, D)

    Raises:
        ValueError: if h does not divide the number of rows; the message names both.

    Source: Vaswani et al. 2017, section 3.2.2 (Concat and W_O), read as blocks.
    """
    ### BEGIN SOLUTION
    rows, width = w_o.shape
    if num_heads < 1 or rows % num_heads:
        raise ValueError(f"{num_heads} heads do not divide the {rows} rows of W_O")
    return w_o.reshape(num_heads, rows // num_heads, width)  # (h·d, D) -> (h, d, D)
    ### END SOLUTION


def head_writes(head_out: Tensor, w_o: Tensor) -> Tensor:
    """Compute what each head adds to the layer's output, through its own rows of W_O.

    Concat(z_0, …, z_{h-1}) W_O = Σ_i z_i W_O[i·d : (i+1)·d], so the writes sum over the heads to
    the layer's output.

    Args:
        head_out: the heads' outputs (B, h, T, d).
        w_o: output projection (h·d, D).

    Returns:
        (B, T, h, D), the write of head i at [:, :, i].

    Raises:
        ValueError: if W_O has not h·d rows; the message names h·d and the number of rows.

    Source: Vaswani et al. 2017, section 3.2.2; as a sum of heads in Elhage et al. 2021, "A
        Mathematical Framework for Transformer Circuits".
    """
    ### BEGIN SOLUTION
    _, num_heads, _, head_dim = head_out.shape
    if w_o.shape[0] != num_heads * head_dim:
        raise ValueError(
            f"{num_heads} heads of width {head_dim} need a W_O of {num_heads * head_dim} rows, "
            f"not {w_o.shape[0]}"
        )
    writes = head_out @ output_slices(w_o, num_heads)  # (B, h, T, d) @ (h, d, D) -> (B, h, T, D)
    return writes.transpose(1, 2)  # (B, T, h, D)
    ### END SOLUTION


def ablate_heads(head_out: Tensor, w_o: Tensor, heads: list[int]) -> Tensor:
    """Compute the layer's output without some heads: their outputs count as zero.

    Nothing else changes: the heads that stay keep their rows of W_O and their size. The inputs are
    left as they were.

    Args:
        head_out: the heads' outputs (B, h, T, d).
        w_o: output projection (h·d, D).
        heads: numbers of the heads to leave out, 0 … h-1, in any order; one named twice is left out
            once, and none at all gives the whole output.

    Returns:
        (B, T, D)

    Raises:
        ValueError: if a number lies outside 0 … h-1; the message names it and h.

    Source: zero ablation of a head, as in Michel et al. 2019, "Are Sixteen Heads Really Better than
        One?" (arXiv 1905.10650).
    """
    ### BEGIN SOLUTION
    num_heads = head_out.shape[1]
    for head in heads:
        if not 0 <= head < num_heads:
            raise ValueError(f"head {head} is none of the {num_heads} heads 0 … {num_heads - 1}")
    kept = head_out.clone()
    kept[:, list(heads)] = 0
    return merge_heads(kept) @ w_o
    ### END SOLUTION
