"""What heads do, in numbers: where they look, how widely, and what their absence costs."""

from collections.abc import Callable

import torch
from torch import Tensor


def previous_token_score(weights: Tensor) -> Tensor:
    """Measure how much each head looks at the token just before the current one.

    Args:
        weights: attention weights (B, h, T, T), or (L, B, h, T, T) for a stack.

    Returns:
        (h,) or (L, h): the mean of weights[…, t, t - 1] over the rows t >= 1 and over the batch.
        Row 0 is left out: nothing stands before its token. Between 0 and 1.

    Raises:
        ValueError: if there is a single token, or the weights are not square (T_q, T_k differ);
            the message names the sizes.

    Source: positional heads as in Voita et al. 2019 (arXiv 1905.09418) and Clark et al. 2019
        (arXiv 1906.04341).
    """
    raise NotImplementedError


def first_token_score(weights: Tensor) -> Tensor:
    """Measure how much each head looks at token 0, whatever stands there.

    Args:
        weights: attention weights (B, h, T, T), or (L, B, h, T, T) for a stack.

    Returns:
        (h,) or (L, h): the mean of weights[…, t, 0] over all rows t, row 0 too, and over the
        batch. Between 0 and 1.

    Raises:
        ValueError: if there are fewer than four dimensions; the message says how many there are.

    Source: heads that attend to delimiter tokens, Clark et al. 2019 (arXiv 1906.04341).
    """
    raise NotImplementedError


def attention_entropy(weights: Tensor) -> Tensor:
    """Measure how widely each head spreads its weight.

    A row's entropy is -sum over j of w_j · log w_j, with 0 · log 0 = 0: 0 when all weight lies on
    one key, log T when all T keys get the same.

    Args:
        weights: attention weights (B, h, T, T), or (L, B, h, T, T) for a stack; 0 or more.

    Returns:
        (h,) or (L, h), in nats (natural logarithm): the mean of the rows' entropies, over all rows
        and over the batch. Finite, also where a weight is exactly 0.

    Raises:
        ValueError: if there are fewer than four dimensions; the message says how many there are.

    Source: broad and focused heads, Clark et al. 2019 (arXiv 1906.04341).
    """
    raise NotImplementedError


def head_importance(loss_fn: Callable[[Tensor], float], num_layers: int, num_heads: int) -> Tensor:
    """Measure how much the loss rises when one head, and only that one, is switched off.

    importance[l, i] = loss(all heads on, but head i of layer l) - loss(all heads on)

    Args:
        loss_fn: takes a head mask (L, h), floating point, 1.0 = on and 0.0 = off; returns the
            model's loss as a number. It may write into the mask that it is given, so every call
            gets a mask of its own, never used before.
        num_layers, num_heads: L and h.

    Returns:
        (L, h), floating point, in the units of the loss. Negative where the model is better off
        without the head.

    Raises:
        ValueError: if L or h is below 1; the message names the number.

    Source: Michel et al. 2019 (arXiv 1905.10650), one head removed at a time.
    """
    raise NotImplementedError
