"""Attention as fast as PyTorch can: the same results as the readable reference.

One kernel computes scores, softmax and weighted sums block by block, so no table (T_q, T_k) is ever
stored and memory grows linearly with T. What that costs: there are no weights to look at, unless
they are asked for. `docs/benchmarks.md` has the times behind each choice made here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# On a CPU the kernel's backward pass is slow in half precision: with few keys, plain products train
# faster. The two meet at about 256 keys, on one side of it or the other by layer and batch.
PRODUCTS_UP_TO = 192


class KVCache:
    """Keys and values of the tokens so far, in memory that is laid out once.

    Args:
        batch: B.
        num_kv_heads: h_kv, the key and value heads.
        capacity: tokens that there is room for.
        head_dim: d.
        dtype, device: of the keys and values.

    Attributes:
        length: tokens that are stored.
    """

    def __init__(
        self,
        batch: int,
        num_kv_heads: int,
        capacity: int,
        head_dim: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (2, batch, num_kv_heads, capacity, head_dim)
        self.stored = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new tokens' keys and values, each (B, h_kv, T, d).

        Returns:
            All that is stored, the new ones last: k and v (B, h_kv, length, d), views of the cache.

        Raises:
            ValueError: if there is no room for them; the message names both numbers.
        """
        start, self.length = self.length, self.length + k.shape[2]
        if self.length > (capacity := self.stored.shape[3]):
            self.length = start
            raise ValueError(f"{start + k.shape[2]} tokens in a cache for {capacity}")
        self.stored[0, :, :, start : self.length] = k
        self.stored[1, :, :, start : self.length] = v
        k, v = self.stored[:, :, :, : self.length]
        return k, v


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Look up values by how well their keys match the queries, in one kernel.

    Args:
        q: queries (B, h, T_q, d).
        k: keys (B, h_kv, T_k, d); h_kv divides h, and the query heads of a group are neighbours.
        v: values (B, h_kv, T_k, d_v).
        mask: boolean, broadcastable to the scores (B, h, T_q, T_k); True = may attend.
        causal: hide the future; the queries are the last T_q of the T_k tokens. A flag, not a mask:
            the kernel then skips what is hidden.
        need_weights: return the weights as well. This costs the table that the kernel avoids.

    Returns:
        out (B, h, T_q, d_v) and weights (B, h, T_q, T_k), or None. A query that may attend to
        nothing gets zeros.

    Raises:
        ValueError: if h_kv does not divide h, causal queries outnumber the keys, or the mask does
            not fit the scores.

    Source: Vaswani et al. 2017, section 3.2.1; Dao et al. 2022, "FlashAttention" (arXiv 2205.14135)
        for the blockwise computation.
    """
    num_heads, num_kv_heads, T_q, T_k = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_kv_heads} key heads do not divide {num_heads} query heads")
    if causal and T_q > T_k:
        raise ValueError(f"{T_q} causal queries cannot be the last of {T_k} tokens")
    table = (len(q), num_heads, T_q, T_k)
    if mask is not None and not _fits(mask, table):
        raise ValueError(f"the mask {tuple(mask.shape)} does not broadcast to the scores {table}")
    causal = causal and T_q > 1  # the last token sees everything
    if need_weights or _products_are_faster(q, k, v):
        return _products(q, k, v, _with_causal(mask, T_q, T_k, q.device) if causal else mask)
    if causal and (mask is not None or T_q != T_k):  # the kernel's flag means T_q = T_k, no mask
        mask, causal = _with_causal(mask, T_q, T_k, q.device), False
    grouped = num_kv_heads < num_heads
    if grouped and T_q == 1 and mask is None:
        # Decoding: the queries of a group are several queries on the same keys.
        q = q.reshape(len(q), num_kv_heads, -1, q.shape[-1])  # (B, h_kv, h / h_kv, d)
        out = F.scaled_dot_product_attention(q, k, v)
        return out.reshape(len(q), num_heads, 1, -1), None
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    ), None


def multi_head_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    num_heads: int,
    mask: Tensor | None = None,
    *,
    num_kv_heads: int | None = None,
    memory: Tensor | None = None,
    causal: bool = False,
    cache: KVCache | None = None,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head, grouped-query and cross-attention, a whole sequence or the next tokens of one.

    Wide weights meet few tokens (a step of decoding) fastest when they lie in memory as (out, in),
    as nn.Linear stores them: pass `linear.weight.T`, which is a view.

    Args:
        x: tokens (B, T, D); with a cache, the new ones only.
        w_q: projection (D, h·d).
        w_k, w_v: projections (D, h_kv·d).
        w_o: output projection (h·d, D).
        num_heads: h.
        mask: boolean, broadcastable to the weights (B, h, T, T_k); True = may attend.
        num_kv_heads: h_kv; None means h.
        memory: tokens to look at (B, T_k, D_memory); None means x itself.
        causal: hide the future.
        cache: keeps the keys and values; the new tokens also attend to all that it holds. Not for
            training: it is written in place.
        need_weights: return the weights as well.

    Returns:
        out (B, T, D) and weights (B, h, T, T_k), or None.

    Raises:
        ValueError: if h or h_kv does not divide the width of its projection, or h_kv does not
            divide h.
    """
    source = x if memory is None else memory
    q = _split(_project(x, w_q), num_heads)  # (B, h, T, d)
    k = _split(_project(source, w_k), num_kv_heads or num_heads)  # (B, h_kv, T_k, d)
    v = _split(_project(source, w_v), num_kv_heads or num_heads)
    if cache is not None:
        k, v = cache.append(k, v)
    head_out, weights = attend(q, k, v, mask, causal=causal, need_weights=need_weights)
    return _project(head_out.transpose(1, 2).flatten(2), w_o), weights  # (B, T, h·d) @ (h·d, D)


def _project(x: Tensor, w: Tensor) -> Tensor:
    """x @ w as a product of two matrices, whatever the strides of x (B, T, D).

    A token cut out of a longer sequence, x[:, t : t + 1], keeps that sequence's strides. Then x @ w
    becomes a batch of products, and PyTorch may copy the weights for it.
    """
    return (x.flatten(0, 1) @ w).unflatten(0, x.shape[:2])


def _split(x: Tensor, num_heads: int) -> Tensor:
    if num_heads < 1 or x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _fits(mask: Tensor, table: tuple[int, ...]) -> bool:
    lengths = zip(reversed(mask.shape), reversed(table), strict=False)
    return mask.ndim <= len(table) and all(one in (1, other) for one, other in lengths)


def _with_causal(mask: Tensor | None, T_q: int, T_k: int, device: torch.device) -> Tensor:
    past = torch.ones(T_q, T_k, dtype=torch.bool, device=device).tril(T_k - T_q)
    return past if mask is None else mask & past


def _products_are_faster(q: Tensor, k: Tensor, v: Tensor) -> bool:
    training = torch.is_grad_enabled() and any(one.requires_grad for one in (q, k, v))
    half = q.dtype in (torch.bfloat16, torch.float16)
    return training and half and q.device.type == "cpu" and k.shape[2] <= PRODUCTS_UP_TO


def _products(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The formula with its table of weights; grouped heads share their keys without a copy."""
    batch, num_heads, T_q, d = q.shape
    q = (q * d**-0.5).unflatten(1, (k.shape[1], -1)).flatten(2, 3)  # (B, h_kv, h / h_kv · T_q, d)
    scores = (q @ k.mT).view(batch, num_heads, T_q, k.shape[2])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    out = weights.unflatten(1, (k.shape[1], -1)).flatten(2, 3) @ v  # (B, h_kv, h / h_kv · T_q, d_v)
    return out.view(batch, num_heads, T_q, v.shape[-1]), weights
