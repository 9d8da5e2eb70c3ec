"""Layers on top of each other: how many attentions there are, a stack, and the induction score."""

import torch
from torch import Tensor

from .heads import multi_head_attention


def count_attention_computations(num_layers: int, num_heads: int, decoder_layers: int = 0) -> int:
    """Count the attention patterns that a model computes: one for each head of each attention.

    Args:
        num_layers: layers with one attention each (an encoder's, or a decoder-only model's).
        num_heads: h, in every attention.
        decoder_layers: layers of an encoder-decoder's decoder; each holds two attentions,
            self-attention and cross-attention. They are not part of `num_layers`.

    Returns:
        A whole number.

    Raises:
        ValueError: if a number of layers is below 0 or h is below 1; the message names the number.

    Source: Vaswani et al. 2017, section 3.1 (the layers) and 3.2.2 (the heads).
    """
    ### BEGIN SOLUTION
    if num_layers < 0 or decoder_layers < 0 or num_heads < 1:
        raise ValueError(f"no {num_layers} + {decoder_layers} layers of {num_heads} heads")
    return (num_layers + 2 * decoder_layers) * num_heads
    ### END SOLUTION


def attention_stack(
    x: Tensor, layers: list[dict[str, Tensor]], num_heads: int, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Run attention layers one after the other, each added to what it read.

    x_{l+1} = x_l + MultiHead_l(x_l)

    No normalisation, no feed-forward network. The tensors that are given stay as they were.

    Args:
        x: tokens (B, T, D).
        layers: one or more; each a dictionary with the weights w_q, w_k, w_v (D, h·d) and
            w_o (h·d, D). d may differ from layer to layer.
        num_heads: h, in every layer.
        mask: boolean, broadcastable to a layer's weights (B, h, T, T); True = may attend. It
            holds in every layer.

    Returns:
        x_out (B, T, D) and weights (L, B, h, T, T), the first layer's at [0].

    Raises:
        ValueError: if h does not divide a layer's width (the message names both numbers), or if
            there is no layer.

    Source: Vaswani et al. 2017, section 3.1 (residual connection around each sub-layer); attention
        alone as in Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
    """
    ### BEGIN SOLUTION
    if not layers:
        raise ValueError("a stack needs at least one layer, got 0")
    kept = []
    for layer in layers:
        w_q, w_k, w_v, w_o = (layer[name] for name in ("w_q", "w_k", "w_v", "w_o"))
        out, weights = multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask)
        x = x + out  # a new tensor: the caller's x stays
        kept.append(weights)
    return x, torch.stack(kept)  # (B, T, D), (L, B, h, T, T)
    ### END SOLUTION


def induction_score(weights: Tensor, period: int) -> Tensor:
    """Measure how much each head looks at the token behind the previous copy of the current one.

    In a sequence that repeats itself after `period` tokens, the copy of token t stands at
    t - period, and what stood behind it at t - period + 1.

    Args:
        weights: attention weights (B, h, T, T), or (L, B, h, T, T) for a stack.
        period: of the sequence, 1 … T - 1.

    Returns:
        (h,) or (L, h): the mean of weights[…, t, t - period + 1] over all t >= period and over
        the batch; between 0 and 1.

    Raises:
        ValueError: if the period is below 1, or no row t >= period exists; the message names the
            period.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads" (arXiv 2209.11895).
    """
    ### BEGIN SOLUTION
    num_tokens = weights.shape[-1]
    if not 1 <= period < num_tokens:
        raise ValueError(f"a period of {period} leaves nothing to look at in {num_tokens} tokens")
    t = torch.arange(period, num_tokens, device=weights.device)
    behind = weights[..., t, t - period + 1]  # (…, B, h, T - period)
    return behind.mean(-1).mean(-2)  # over rows, then over the batch
    ### END SOLUTION
