"""Attention to another sequence, and heads that share keys and values."""

import torch  # noqa: F401  (at hand for your own way of doing it)
from torch import Tensor

from .attention import scaled_dot_product_attention
from .heads import merge_heads, split_heads


def cross_attention(
    x: Tensor,
    memory: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    num_heads: int,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Let the tokens of x look things up in another sequence.

    Multi-head attention whose queries come from x, and whose keys and values come from `memory`.

    Args:
        x: the tokens that ask (B, T_q, D).
        memory: the tokens that are looked up (B, T_k, D_memory).
        w_q: (D, h·d).
        w_k, w_v: (D_memory, h·d).
        w_o: (h·d, D).
        num_heads: h.
        mask: boolean, broadcastable to the weights (B, h, T_q, T_k); True = may attend.

    Returns:
        out (B, T_q, D) and weights (B, h, T_q, T_k).

    Raises:
        ValueError: if h does not divide the projections' width, or x and memory are batches of
            different sizes; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.2.3 ("encoder-decoder attention").
    """
    ### BEGIN SOLUTION
    if len(x) != len(memory):
        raise ValueError(f"x is a batch of {len(x)} sequences, memory one of {len(memory)}")
    q = split_heads(x @ w_q, num_heads)  # (B, h, T_q, d)
    k = split_heads(memory @ w_k, num_heads)  # (B, h, T_k, d)
    v = split_heads(memory @ w_v, num_heads)
    head_out, weights = scaled_dot_product_attention(q, k, v, mask)  # (B, h, T_q, d)
    return merge_heads(head_out) @ w_o, weights  # (B, T_q, h·d) @ (h·d, D)
    ### END SOLUTION


def expand_kv(kv: Tensor, num_heads: int) -> Tensor:
    """Repeat key or value heads until there is one for each query head.

    The query heads of a group are neighbours: with h = 6 and h_kv = 3, the query heads 0 and 1 use
    key head 0, the heads 2 and 3 use key head 1, the heads 4 and 5 use key head 2.

    Args:
        kv: keys or values (B, h_kv, T, d).
        num_heads: h, the number of query heads.

    Returns:
        (B, h, T, d)

    Raises:
        ValueError: if h_kv does not divide h; the message names both numbers.

    Source: Ainslie et al. 2023, section 2.2.
    """
    ### BEGIN SOLUTION
    num_kv_heads = kv.shape[1]
    if num_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(f"{num_kv_heads} key and value heads do not divide {num_heads} heads")
    return kv.repeat_interleave(num_heads // num_kv_heads, dim=1)  # (B, h, T, d)
    ### END SOLUTION


def grouped_query_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    num_heads: int,
    num_kv_heads: int,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Multi-head attention in which h / h_kv query heads share one key head and one value head.

    h_kv = h is multi-head attention (MHA), h_kv = 1 multi-query attention (MQA), and anything
    between grouped-query attention (GQA).

    Args:
        x: tokens (B, T, D).
        w_q: (D, h·d); it fixes d.
        w_k, w_v: (D, h_kv·d).
        w_o: (h·d, D).
        num_heads: h.
        num_kv_heads: h_kv.
        mask: boolean, broadcastable to the weights (B, h, T, T); True = may attend.

    Returns:
        out (B, T, D) and weights (B, h, T, T).

    Raises:
        ValueError: if h does not divide the width of w_q, h_kv does not divide h, or w_k or w_v is
            not h_kv·d wide; the message names both numbers.

    Source: Ainslie et al. 2023, section 2.2; Shazeer 2019 (MQA).
    """
    ### BEGIN SOLUTION
    if num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(f"{num_kv_heads} key and value heads do not divide {num_heads} heads")
    q = split_heads(x @ w_q, num_heads)  # (B, h, T, d)
    width = num_kv_heads * q.shape[-1]  # h_kv·d
    for w in (w_k, w_v):
        if w.shape[-1] != width:
            raise ValueError(f"keys and values must be {width} wide, got {w.shape[-1]}")
    k = expand_kv(split_heads(x @ w_k, num_kv_heads), num_heads)  # (B, h_kv, T, d) -> (B, h, T, d)
    v = expand_kv(split_heads(x @ w_v, num_kv_heads), num_heads)
    head_out, weights = scaled_dot_product_attention(q, k, v, mask)
    return merge_heads(head_out) @ w_o, weights
    ### END SOLUTION


def kv_cache_bytes(
    num_layers: int,
    num_kv_heads: int,
    head_dim: int,
    num_tokens: int,
    batch: int = 1,
    bytes_per_value: int = 2,
) -> int:
    """Count the bytes of the keys and values that a model keeps while it writes a text.

    Every layer keeps one key and one value for each token and each key and value head.

    Args:
        num_layers: L.
        num_kv_heads: h_kv.
        head_dim: d.
        num_tokens: T, how many tokens are kept for each sequence; 0 for an empty cache.
        batch: B, how many sequences are written at the same time.
        bytes_per_value: 4 for float32, 2 for float16 and bfloat16.

    Returns:
        Bytes, a whole number. (A KiB is 1024 of them, a GiB is 1024³.)

    Raises:
        ValueError: if num_tokens is negative or another number is below 1; the message names it.

    Source: Shazeer 2019 (keys and values are what every step has to load again).
    """
    ### BEGIN SOLUTION
    if num_tokens < 0:
        raise ValueError(f"{num_tokens} tokens cannot be kept")
    for number in (num_layers, num_kv_heads, head_dim, batch, bytes_per_value):
        if number < 1:
            raise ValueError(f"every size but the number of tokens is 1 or more, got {number}")
    one_token = 2 * num_layers * num_kv_heads * head_dim  # a key and a value each
    return one_token * num_tokens * batch * bytes_per_value
    ### END SOLUTION


def pool_kv_heads(w_kv: Tensor, num_heads: int, num_kv_heads: int) -> Tensor:
    """Make a key or value projection with fewer heads: the mean over each group of neighbours.

    Args:
        w_kv: W_K or W_V of multi-head attention (D, h·d); head i owns the columns
            i·d … (i+1)·d - 1.
        num_heads: h.
        num_kv_heads: h_kv; head j of the result is the mean of the heads that share it, j·h/h_kv …
            (j+1)·h/h_kv - 1.

    Returns:
        (D, h_kv·d)

    Raises:
        ValueError: if h does not divide the width, or h_kv does not divide h; the message names
            both numbers.

    Source: Ainslie et al. 2023 (mean pooling).
    """
    ### BEGIN SOLUTION
    width = w_kv.shape[-1]
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {width}")
    if num_kv_heads < 1 or num_heads % num_kv_heads:
        raise ValueError(f"{num_kv_heads} key and value heads do not divide {num_heads} heads")
    d, group = width // num_heads, num_heads // num_kv_heads
    heads = w_kv.reshape(-1, num_kv_heads, group, d)  # (D, h_kv, h / h_kv, d)
    return heads.mean(2).reshape(-1, num_kv_heads * d)  # (D, h_kv·d)
    ### END SOLUTION
