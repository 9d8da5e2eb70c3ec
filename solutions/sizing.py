"""What a layer of h heads of width d is made of: shapes, parameters, floating-point operations."""

import torch  # noqa: F401  (at hand for your own way of doing it)
from torch import Tensor

from .heads import split_heads


def shape_trail(
    batch: int, num_tokens: int, d_model: int, num_heads: int
) -> dict[str, tuple[int, ...]]:
    """List the shapes that a batch goes through in a multi-head attention layer with h·d = D.

    Args:
        batch: B.
        num_tokens: T.
        d_model: D, the width of a token.
        num_heads: h; each head is d = D / h wide.

    Returns:
        name -> shape, in this order: "x" (the input), "q" (after the projection), "split_q",
        "scores" (before the softmax, one table a head), "weights" (after it), "head_out" (what the
        heads return), "concat" (the heads side by side), "out" (after W_O).

    Raises:
        ValueError: if h does not divide D.

    Source: Vaswani et al. 2017, section 3.2.2.
    """
    ### BEGIN SOLUTION
    if num_heads < 1 or d_model % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {d_model}")
    whole = (batch, num_tokens, d_model)
    one_a_head = (batch, num_heads, num_tokens, d_model // num_heads)
    token_by_token = (batch, num_heads, num_tokens, num_tokens)
    return {
        "x": whole,
        "q": whole,
        "split_q": one_a_head,
        "scores": token_by_token,
        "weights": token_by_token,
        "head_out": one_a_head,
        "concat": whole,
        "out": whole,
    }
    ### END SOLUTION


def unpack_qkv(packed: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take queries, keys and values of all heads out of one packed projection, in GPT-2's order.

    A row of `packed` is [q | k | v]: first the queries of all heads, head 0's first, then the keys
    of all heads, then the values.

    Args:
        packed: (B, T, 3·D).
        num_heads: h.

    Returns:
        q, k, v, each (B, h, T, d), d = D / h.

    Raises:
        ValueError: if the packed width is not three times a width that h divides.

    Source: Radford et al. 2019 (GPT-2), the layer `c_attn` of its code.
    """
    ### BEGIN SOLUTION
    width = packed.shape[-1]
    if num_heads < 1 or width % (3 * num_heads):
        raise ValueError(
            f"{num_heads} heads cannot be unpacked from a width of {width}: "
            f"3 · {num_heads} does not divide it"
        )
    q, k, v = packed.chunk(3, dim=-1)  # each (B, T, D)
    return split_heads(q, num_heads), split_heads(k, num_heads), split_heads(v, num_heads)
    ### END SOLUTION


def count_attention_parameters(
    d_model: int,
    num_heads: int,
    num_kv_heads: int | None = None,
    head_dim: int | None = None,
    bias: bool = False,
) -> int:
    """Count the numbers that a multi-head attention layer learns.

    Its matrices are W_Q (D, h·d), W_K and W_V (D, h_kv·d) and W_O (h·d, D).

    Args:
        d_model: D.
        num_heads: h, the query heads.
        num_kv_heads: h_kv, the key and value heads; None means h.
        head_dim: d; None means D / h. When it is given, h need not divide D.
        bias: whether each of the four projections has one, as wide as its output.

    Returns:
        The number of parameters of the layer.

    Raises:
        ValueError: if d is not given and h does not divide D, if h_kv does not divide h, or if a
            number is below 1.

    Source: Vaswani et al. 2017, section 3.2.2; Ainslie et al. 2023, section 2.2 (h_kv).
    """
    ### BEGIN SOLUTION
    if num_kv_heads is None:
        num_kv_heads = num_heads
    if min(d_model, num_heads, num_kv_heads) < 1 or num_heads % num_kv_heads:
        raise ValueError(
            f"{num_kv_heads} key and value heads do not divide {num_heads} query heads "
            f"(width {d_model})"
        )
    if head_dim is None and d_model % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {d_model}")
    d = d_model // num_heads if head_dim is None else head_dim
    if d < 1:
        raise ValueError(f"a head cannot be {d} wide")
    q_width, kv_width = num_heads * d, num_kv_heads * d
    weights = d_model * q_width + 2 * d_model * kv_width + q_width * d_model  # Q, K and V, O
    biases = q_width + 2 * kv_width + d_model
    return weights + biases if bias else weights
    ### END SOLUTION


def count_attention_flops(batch: int, num_tokens: int, d_model: int, num_heads: int) -> int:
    """Count the floating-point operations of a layer's matrix products, forward, with h·d = D.

    A product of (m, n) and (n, p) is 2·m·n·p operations: a multiplication and an addition for each
    term. Counted are the four projections, the scores and the weighted sums of the values; not
    counted are softmax, scaling and biases. A mask saves nothing: all T × T scores are computed.

    Args:
        batch: B.
        num_tokens: T.
        d_model: D.
        num_heads: h.

    Returns:
        Floating-point operations, a whole number.

    Raises:
        ValueError: if h does not divide D.

    Source: Vaswani et al. 2017, section 3.2.2 and table 1.
    """
    ### BEGIN SOLUTION
    if num_heads < 1 or d_model % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {d_model}")
    d = d_model // num_heads
    projections = 4 * 2 * num_tokens * d_model * d_model
    look_up = 2 * 2 * num_tokens * num_tokens * d  # scores, then weighted sums: one head
    return batch * (projections + num_heads * look_up)
    ### END SOLUTION
