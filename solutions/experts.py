"""Mixture of experts: a router, k of E feed-forward networks a token, and what they cost."""

import torch
import torch.nn.functional as F
from torch import Tensor


def top_k_router(
    x: Tensor, w_gate: Tensor, k: int, renormalize: bool = True
) -> tuple[Tensor, Tensor]:
    """Choose k experts for each token, and how much each of them counts.

    The probabilities are a softmax of x @ w_gate over all experts; the k largest are kept, in
    descending order. With `renormalize` the k kept ones are divided by their sum; otherwise they
    stay as they were in the softmax over all.

    Args:
        x: tokens (B, T, D).
        w_gate: the router's matrix (D, E), one column an expert.
        k: experts a token, 1 … E.
        renormalize: whether the weights of a token shall sum to 1.

    Returns:
        weights (B, T, k), descending, and indices (B, T, k): which experts they belong to.

    Raises:
        ValueError: if k is not 1 … E; the message names k and E.

    Source: Shazeer et al. 2017, "Outrageously Large Neural Networks" (arXiv 1701.06538), without
        its noise; renormalised as in Jiang et al. 2024, "Mixtral of Experts" (arXiv 2401.04088).
    """
    ### BEGIN SOLUTION
    num_experts = w_gate.shape[1]
    if not 1 <= k <= num_experts:
        raise ValueError(f"cannot choose k = {k} of {num_experts} experts")
    probabilities = torch.softmax(x @ w_gate, dim=-1)  # (B, T, E)
    weights, indices = probabilities.topk(k, dim=-1)  # (B, T, k) each, largest first
    if renormalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights, indices
    ### END SOLUTION


def moe_feed_forward(x: Tensor, w_gate: Tensor, w_in: Tensor, w_out: Tensor, k: int) -> Tensor:
    """Send each token through its k experts and add up what they return, weighted by the router.

    out = Σ_j weight_j · expert_j(x),  expert_e(x) = GELU(x @ w_in[e]) @ w_out[e]

    The sum is over the token's k experts, and the router's weights are renormalised to sum to 1.
    GELU is the exact one. No token sees another.

    Args:
        x: tokens (B, T, D).
        w_gate: the router's matrix (D, E).
        w_in: first matrices of the experts (E, D, F).
        w_out: second matrices of the experts (E, F, D).
        k: experts a token, 1 … E.

    Returns:
        (B, T, D)

    Raises:
        ValueError: if k is not 1 … E; the message names k and E.

    Source: Shazeer et al. 2017, arXiv 1701.06538, section 2, equation 1; weights as in Jiang et al.
        2024, arXiv 2401.04088.
    """
    ### BEGIN SOLUTION
    weights, indices = top_k_router(x, w_gate, k)  # (B, T, k) each
    out = torch.zeros_like(x)
    for expert in range(len(w_in)):
        weight = (weights * (indices == expert)).sum(-1)  # (B, T), 0 where it was not chosen
        mine = (indices == expert).any(-1)  # (B, T)
        hidden = F.gelu(x[mine] @ w_in[expert])  # (tokens of this expert, F)
        out[mine] += weight[mine][:, None] * (hidden @ w_out[expert])
    return out
    ### END SOLUTION


def count_moe_parameters(d_model: int, d_ff: int, num_experts: int, k: int) -> tuple[int, int]:
    """Count the parameters of a layer of experts: all of them, and those that one token uses.

    Each expert has two matrices without biases, (D, F) and (F, D); the router has one, (D, E), and
    every token needs all of it.

    Args:
        d_model: D.
        d_ff: F, the hidden width of one expert.
        num_experts: E.
        k: experts a token, 1 … E.

    Returns:
        total and active, the second being what one token uses.

    Raises:
        ValueError: if k is not 1 … E; the message names k and E.

    Source: "sparse" and "active" parameter count in Jiang et al. 2024, arXiv 2401.04088, for two
        matrices an expert (theirs have three).
    """
    ### BEGIN SOLUTION
    if not 1 <= k <= num_experts:
        raise ValueError(f"cannot choose k = {k} of {num_experts} experts")
    expert, router = 2 * d_model * d_ff, d_model * num_experts
    return num_experts * expert + router, k * expert + router
    ### END SOLUTION
