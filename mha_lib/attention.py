"""One look-up: scaled dot-product attention and the masks that go with it.

A mask is boolean and True means "may attend", as in PyTorch's `F.scaled_dot_product_attention`.
"""

import torch
from torch import BoolTensor, Tensor


def softmax(scores: Tensor, dim: int = -1) -> Tensor:
    """Turn scores into weights that are positive and sum to 1 along `dim`.

    softmax(s)_j = exp(s_j) / sum_k exp(s_k)

    Args:
        scores: any shape, floating point.
        dim: the dimension that sums to 1 afterwards.

    Returns:
        Weights, same shape, dtype and device as `scores`. Finite for scores up to ±1e4, also within
        one row: in exact arithmetic nothing changes when all scores of a row are shifted by the
        same constant.

    Source: Goodfellow, Bengio & Courville 2016, section 4.1.
    """
    raise NotImplementedError


def causal_mask(num_tokens: int) -> BoolTensor:
    """Say which tokens may be seen when nobody may look into the future.

    Args:
        num_tokens: T, the length of the sequence.

    Returns:
        Boolean mask (T, T); row i is the query, column j the key, True where j <= i.

    Raises:
        ValueError: if `num_tokens` is negative; the message names it.

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    raise NotImplementedError


def padding_mask(lengths: list[int] | Tensor, num_tokens: int) -> BoolTensor:
    """Hide the padding at the end of each sequence in a batch.

    Args:
        lengths: one length a sequence, each 0 … T; a list or a 1-D integer tensor.
        num_tokens: T, the padded length.

    Returns:
        Boolean mask (B, 1, 1, T), True for the keys before the sequence's end. It broadcasts to the
        scores (B, h, T_q, T_k): every head and every query of a sequence sees the same keys.

    Raises:
        ValueError: if a length is below 0 or above `num_tokens`; the message names that length.
    """
    raise NotImplementedError


def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Look up values by how well their keys match the queries.

    Attention(Q, K, V) = softmax(Q Kᵀ / sqrt(d)) V

    Args:
        q: queries (…, T_q, d).
        k: keys (…, T_k, d).
        v: values (…, T_k, d_v).
        mask: boolean, broadcastable to the scores (…, T_q, T_k); True = may attend. None: no mask.

    Returns:
        out (…, T_q, d_v) and weights (…, T_q, T_k). A query that may attend to nothing gets
        all-zero weights and a zero output, never NaN (what PyTorch's fused attention returns).
        Dtype and device follow the inputs, and the inputs are left as they were.

    Raises:
        ValueError: if q and k differ in d, k and v in T_k (the message names both numbers), or the
            mask does not fit the scores.

    Source: Vaswani et al. 2017, section 3.2.1, equation 1.
    """
    raise NotImplementedError
