"""Wrong pieces of attention that the exercises of more than one notebook know."""

import torch

from solutions.attention import scaled_dot_product_attention as attend


def split_wrong(x, h):
    return x.reshape(x.shape[0], h, x.shape[1], -1)


def merge_wrong(x):
    return x.reshape(x.shape[0], x.shape[2], -1)


def not_scaled(q, k, v, mask):
    return attend(q * q.shape[-1] ** 0.5, k, v, mask)


def scaled_by_width(q, k, v, mask):
    return attend(q / q.shape[1] ** 0.5, k, v, mask)


def softmax_over_queries(q, k, v, mask):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = torch.softmax(scores, -2)
    return weights @ v, weights
