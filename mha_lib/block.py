"""The transformer block: attention and a feed-forward network, each with a norm and a residual."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .heads import multi_head_attention


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Give every token mean 0 and variance 1 over its D numbers, then scale and shift each column.

    y = (x - mean) / sqrt(variance + eps) · weight + bias

    Each token is normalised by itself: no other token and no other sequence has a part in it. The
    variance is the mean of the squared deviations, divided by D and not by D - 1.

    Args:
        x: tokens (…, D).
        weight, bias: (D,).
        eps: added to the variance, so that a token whose numbers are all equal gives `bias`.

    Returns:
        The shape of x.

    Raises:
        ValueError: if weight or bias is not (D,); the message names its size and D.

    Source: Ba, Kiros & Hinton 2016, arXiv 1607.06450.
    """
    raise NotImplementedError


def feed_forward(x: Tensor, w_in: Tensor, b_in: Tensor, w_out: Tensor, b_out: Tensor) -> Tensor:
    """Widen each token to F numbers, bend them, and bring them back to D.

    FFN(x) = GELU(x W_in + b_in) W_out + b_out,  GELU(z) = z · Φ(z)

    Φ is the distribution function of the normal distribution (the exact GELU, not the one with
    tanh). No token sees another.

    Args:
        x: tokens (…, D).
        w_in: (D, F), often F = 4·D.
        b_in: (F,).
        w_out: (F, D).
        b_out: (D,).

    Returns:
        The shape of x.

    Raises:
        ValueError: if w_in and w_out differ in F; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.3; GELU in place of ReLU: Hendrycks & Gimpel 2016, arXiv
        1606.08415.
    """
    raise NotImplementedError


def transformer_block(
    x: Tensor,
    params: dict[str, Tensor],
    num_heads: int,
    mask: Tensor | None = None,
    norm_first: bool = True,
) -> Tensor:
    """Run attention, then the feed-forward network, each with a residual connection and a norm.

    Pre-norm:   x = x + MultiHead(norm1(x)),   then   x = x + FFN(norm2(x))
    Post-norm:  x = norm1(x + MultiHead(x)),   then   x = norm2(x + FFN(x))

    MultiHead has biases here: q = x W_Q + b_Q, likewise k and v, and b_O is added behind W_O. Both
    norms take layer_norm's own eps. The tensors that are given stay as they were.

    Args:
        x: tokens (B, T, D).
        params: norm1_weight, norm1_bias (D,); w_q, w_k, w_v (D, h·d) with b_q, b_k, b_v (h·d,);
            w_o (h·d, D) with b_o (D,); norm2_weight, norm2_bias (D,); w_in (D, F) with b_in (F,);
            w_out (F, D) with b_out (D,).
        num_heads: h.
        mask: boolean, broadcastable to the weights (B, h, T, T); True = may attend.
        norm_first: pre-norm when True, post-norm when False.

    Returns:
        (B, T, D): the shape of x, so that blocks can be stacked.

    Raises:
        ValueError: if h does not divide the projections' width; the message names both numbers.

    Source: Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020, arXiv 2002.04745
        (pre-norm).
    """
    raise NotImplementedError
