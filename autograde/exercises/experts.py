"""Exercises of notebook 10: the router, the experts' feed-forward network, and its parameters."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from solutions import experts as reference
from solutions.experts import top_k_router as router

from .entry import Case, Exercise, Misconception

# ----------------------------------------------------------------------------------- top_k_router


def _needs_k(k, num_experts):
    if not 1 <= k <= num_experts:
        raise ValueError(f"{k} of {num_experts} experts")


def _sum_to_1(weights, wanted=True):
    return weights / weights.sum(-1, keepdim=True) if wanted else weights


def _routed(scores=lambda x, w: (x @ w).softmax(-1), largest=True):
    """A router that scores in some other way, or keeps others than the largest."""

    def version(x, w_gate, k, renormalize=True):
        _needs_k(k, w_gate.shape[1])
        weights, indices = scores(x, w_gate).topk(k, largest=largest)
        return _sum_to_1(weights, renormalize), indices

    return version


def _k_tokens_an_expert(x, w_gate, k, renormalize=True):
    _needs_k(k, w_gate.shape[1])
    k = min(k, x.shape[1])
    weights, indices = (x @ w_gate).softmax(-1).topk(k, dim=1)
    if renormalize:
        weights = weights / weights.sum(1, keepdim=True)
    return weights.transpose(1, 2), indices.transpose(1, 2)


def _once_a_sequence(x, w_gate, k, renormalize=True):
    weights, indices = router(x.mean(1, keepdim=True), w_gate, k, renormalize)
    shape = (-1, x.shape[1], -1)
    return weights.expand(*shape), indices.expand(*shape)


def _by_number(x, w_gate, k, renormalize=True):
    weights, indices = router(x, w_gate, k, renormalize)
    indices, order = indices.sort(-1)
    return weights.gather(-1, order), indices


def _softmax_again(x, w_gate, k, renormalize=True):
    weights, indices = router(x, w_gate, k, False)
    return (weights.softmax(-1) if renormalize else weights), indices


def _scores_divided(x, w_gate, k, renormalize=True):
    _needs_k(k, w_gate.shape[1])
    scores, indices = (x @ w_gate).topk(k)
    return _sum_to_1(scores, renormalize), indices


def _others_kept_as_zeros(x, w_gate, k, renormalize=True):
    weights, indices = router(x, w_gate, k, renormalize)
    return (x @ w_gate * 0).scatter(-1, indices, weights), indices


def _k_cut_to_fit(x, w_gate, k, renormalize=True):
    return router(x, w_gate, min(max(k, 1), w_gate.shape[1]), renormalize)


def _router_by_sorting(x, w_gate, k, renormalize=True):
    _needs_k(k, w_gate.shape[1])
    scores = torch.exp(x @ w_gate)
    order = scores.argsort(-1, descending=True)[..., :k]
    kept = scores.gather(-1, order)
    total = kept if renormalize else scores
    return kept / total.sum(-1, keepdim=True), order


def _router_chosen_first(x, w_gate, k, renormalize=True):
    """Top k of the scores, then a softmax over what is compared."""
    _needs_k(k, w_gate.shape[1])
    scores = x @ w_gate
    kept, indices = scores.topk(k)
    if renormalize:
        return kept.softmax(-1), indices
    return torch.exp(kept - scores.logsumexp(-1, keepdim=True)), indices


def _router_by_numpy(x, w_gate, k, renormalize=True):
    _needs_k(k, w_gate.shape[1])
    scores = np.exp(x.numpy().astype(float) @ w_gate.numpy().astype(float))
    probabilities = scores / scores.sum(-1, keepdims=True)
    indices = np.argsort(-probabilities, axis=-1)[..., :k]
    weights = np.take_along_axis(probabilities, indices, -1)
    return (weights / weights.sum(-1, keepdims=True) if renormalize else weights), indices


def _tokens(r, **changes):
    """Arguments for the router; d experts, so that no two sizes agree; `changes` replace any."""
    T = changes.pop("T", r.T)
    given = {"x": r.normal(r.B, T, r.D), "w_gate": r.weight(r.D, r.d), "k": r.h}
    return given | {"renormalize": True} | changes


def _k_and_experts(args):
    return args["k"], args["w_gate"].shape[1]


top_k_router = Exercise(
    name="experts.top_k_router",
    points=3,
    reference=reference.top_k_router,
    returns=("the weights", "the indices"),
    cases=(
        Case("one token, one expert", lambda r: _tokens(r, T=1, k=1, renormalize=False)),
        Case("the weights as they are", lambda r: _tokens(r, renormalize=False)),
        Case("the weights renormalised", _tokens),
        Case("all experts chosen", lambda r: _tokens(r, k=r.d)),
        Case("a single expert, renormalised", lambda r: _tokens(r, k=1)),
        Case(
            "more experts asked for than there are",
            lambda r: _tokens(r, k=r.d + 1),
            kind="raises",
            promise=0.1,
            mentions=_k_and_experts,
        ),
    ),
    misconceptions=(
        Misconception(
            "router_never_renormalises",
            lambda x, w, k, renormalize=True: router(x, w, k, False),
            "The k weights were never divided by their sum.",
            "With renormalize=True a token's k weights sum to 1.",
        ),
        Misconception(
            "router_always_renormalises",
            lambda x, w, k, renormalize=True: router(x, w, k, True),
            "The weights were made to sum to 1 although renormalize is False. (A softmax over the k chosen "
            "scores does that too.)",
            "With renormalize=False the k weights are those of the softmax over all experts.",
        ),
        Misconception(
            "router_renormalise_upside_down",
            lambda x, w, k, renormalize=True: router(x, w, k, not renormalize),
            "renormalize is taken the wrong way round.",
            "True: divide by the sum of the k. False: leave them alone.",
        ),
        Misconception(
            "router_chooses_tokens",
            _k_tokens_an_expert,
            "Every expert chose its k tokens; here every token chooses its k experts.",
            "The k largest are looked for along the last dimension, the experts. (Experts that choose exist "
            "too: Zhou et al. 2022.)",
        ),
        Misconception(
            "router_softmax_over_tokens",
            _routed(lambda x, w: (x @ w).softmax(1)),
            "The softmax ran over the tokens.",
            "A token's probabilities over the experts sum to 1: dim=-1.",
        ),
        Misconception(
            "router_once_a_sequence",
            _once_a_sequence,
            "One choice was made for the whole sequence, from the mean of its tokens.",
            "Each token has a choice of its own.",
        ),
        Misconception(
            "router_takes_the_smallest",
            _routed(largest=False),
            "The k smallest probabilities were kept.",
            "Keep the k largest, the largest first.",
        ),
        Misconception(
            "router_sorted_by_number",
            _by_number,
            "The chosen experts are sorted by their number.",
            "Sort by weight, the largest first, as `topk` does.",
        ),
        Misconception(
            "router_without_softmax",
            _scores_divided,
            "The scores were used as weights without a softmax.",
            "Scores can be negative. Softmax over the experts first.",
        ),
        Misconception(
            "router_sigmoid",
            _routed(lambda x, w: (x @ w).sigmoid()),
            "Each expert's score went through a sigmoid of its own.",
            "Here the experts compete: a softmax over all of them. (DeepSeek-V3 does use a sigmoid.)",
        ),
        Misconception(
            "router_scaled_scores",
            _routed(lambda x, w: (x @ w / x.shape[-1] ** 0.5).softmax(-1)),
            "The scores were divided by sqrt(D), as in attention.",
            "The router does not scale: softmax of x @ w_gate.",
        ),
        Misconception(
            "router_softmax_twice",
            _softmax_again,
            "To renormalise, a second softmax was taken of the probabilities.",
            "Divide the k kept probabilities by their sum.",
        ),
        Misconception(
            "router_keeps_all_columns",
            _others_kept_as_zeros,
            "The weights have a column for every expert, with zeros for those not chosen.",
            "Return only the k kept: (B, T, k), beside their indices.",
        ),
        Misconception(
            "router_pair_swapped",
            lambda x, w, k, renormalize=True: router(x, w, k, renormalize)[::-1],
            "Weights and indices changed places.",
            "The weights come first, then the indices.",
        ),
        Misconception(
            "router_k_cut_to_fit",
            _k_cut_to_fit,
            "A k larger than the number of experts was quietly made to fit.",
            "Check 1 <= k <= E first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "sort": _router_by_sorting,
        "choose, then softmax": _router_chosen_first,
        "numpy": _router_by_numpy,
    },
)

# ------------------------------------------------------------------------------- moe_feed_forward


def _all_experts(x, w_in, w_out, activation=F.gelu):
    """What every expert says about every token: (B, T, E, D)."""
    hidden = activation(torch.einsum("btd,edf->btef", x, w_in))
    return torch.einsum("btef,efd->bted", hidden, w_out)


def _spread(weights, indices, num_experts):
    """(B, T, k) -> (B, T, E), zeros for experts not chosen."""
    return weights.new_zeros(*weights.shape[:2], num_experts).scatter(-1, indices, weights)


def _experts(gates=lambda x, w, k: _spread(*router(x, w, k), w.shape[1]), activation=F.gelu):
    """Experts weighted by gates (B, T, E), computed in some way."""

    def version(x, w_gate, w_in, w_out, k):
        said = _all_experts(x, w_in, w_out, activation)
        return (gates(x, w_gate, k)[..., None] * said).sum(2)

    return version


def _gates(change):
    """Gates from changed weights and indices."""
    return _experts(lambda x, w, k: _spread(*change(*router(x, w, k)), w.shape[1]))


def _weight_on_the_input(x, w_gate, w_in, w_out, k):
    gates = _spread(*router(x, w_gate, k), w_gate.shape[1])
    chosen = gates > 0
    hidden = F.gelu(torch.einsum("btd,bte,edf->btef", x, gates, w_in))
    return torch.einsum("btef,efd,bte->btd", hidden, w_out, chosen.to(x.dtype))


def _gelu_at_the_end(x, w_gate, w_in, w_out, k):
    return F.gelu(_experts(activation=lambda z: z)(x, w_gate, w_in, w_out, k))


def _of_the_first_token(x, w, k):
    weights, indices = router(x, w, k)
    first = indices[:, :1].expand_as(indices)
    return _spread(weights, first, w.shape[1])


def _in_turn(x, w, k):
    router(x, w, k)
    number = torch.arange(x.shape[1]) % w.shape[1]
    return F.one_hot(number, w.shape[1]).to(x.dtype).expand(len(x), -1, -1)


def _moe_by_token(x, w_gate, w_in, w_out, k):
    _needs_k(k, w_gate.shape[1])
    out = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            scores = torch.softmax(x[b, t] @ w_gate, 0)
            best = scores.argsort(descending=True)[:k]
            for e in best:
                said = F.gelu(x[b, t] @ w_in[e]) @ w_out[e]
                out[b, t] += scores[e] / scores[best].sum() * said
    return out


def _moe_all_at_once(x, w_gate, w_in, w_out, k):
    """Every expert for every token; those not chosen count 0."""
    _needs_k(k, w_gate.shape[1])
    scores = x @ w_gate
    kept, indices = scores.topk(k)
    gates = torch.zeros_like(scores).scatter(-1, indices, kept.softmax(-1))
    return torch.einsum("bte,bted->btd", gates, _all_experts(x, w_in, w_out))


def _moe_by_gathering(x, w_gate, w_in, w_out, k):
    """The matrices of each token's experts, fetched."""
    weights, indices = router(x, w_gate, k)
    hidden = F.gelu(torch.einsum("btd,btkdf->btkf", x, w_in[indices]))
    return torch.einsum("btkf,btkfd,btk->btd", hidden, w_out[indices], weights)


def _layer(r, **changes):
    """Arguments for moe_feed_forward: d experts of hidden width d_v."""
    size = {"T": r.T, "E": r.d, "k": r.h, **changes}
    return {
        "x": r.normal(r.B, size["T"], r.D),
        "w_gate": r.weight(r.D, size["E"]),
        "w_in": r.normal(size["E"], r.D, r.d_v, std=r.D**-0.5),
        "w_out": r.normal(size["E"], r.d_v, r.D, std=r.d_v**-0.5),
        "k": size["k"],
    }


moe_feed_forward = Exercise(
    name="experts.moe_feed_forward",
    points=4,
    reference=reference.moe_feed_forward,
    returns=("the output",),
    cases=(
        Case("one token", lambda r: _layer(r, T=1)),
        Case("one expert: an ordinary feed-forward network", lambda r: _layer(r, E=1, k=1)),
        Case("one of several experts", lambda r: _layer(r, k=1)),
        Case("some of several experts", _layer),
        Case("all experts", lambda r: _layer(r, k=r.d)),
        Case(
            "more experts asked for than there are",
            lambda r: _layer(r, k=r.d + 1),
            kind="raises",
            promise=0.1,
            mentions=_k_and_experts,
        ),
    ),
    misconceptions=(
        Misconception(
            "moe_not_renormalised",
            _experts(lambda x, w, k: _spread(*router(x, w, k, False), w.shape[1])),
            "The weights of a token's k experts do not sum to 1.",
            "Ask the router to renormalise: renormalize=True.",
        ),
        Misconception(
            "moe_without_weights",
            _gates(lambda weights, indices: (torch.ones_like(weights), indices)),
            "The experts' answers were added up without the router's weights.",
            "Multiply each answer by the weight of its expert.",
        ),
        Misconception(
            "moe_plain_mean",
            _gates(
                lambda weights, indices: (torch.full_like(weights, 1 / weights.shape[-1]), indices)
            ),
            "The answers of the k experts were averaged, all with weight 1/k.",
            "Weigh them with the router's weights.",
        ),
        Misconception(
            "moe_weight_on_the_input",
            _weight_on_the_input,
            "The router's weight was multiplied into the token before the expert.",
            "The expert bends its input, so the two differ: multiply what comes out.",
        ),
        Misconception(
            "moe_all_experts",
            _experts(lambda x, w, k: (router(x, w, k), (x @ w).softmax(-1))[1]),
            "All experts had a say, with the softmax over all as weights; k was ignored.",
            "Only the token's k experts count.",
        ),
        Misconception(
            "moe_only_the_best",
            _gates(lambda weights, indices: (torch.ones_like(weights[..., :1]), indices[..., :1])),
            "Only the first of the k experts was used.",
            "Add up all k, each with its weight.",
        ),
        Misconception(
            "moe_weights_mixed_up",
            _gates(lambda weights, indices: (weights.flip(-1), indices)),
            "The weights met the wrong experts: the largest went to the last of the k.",
            "weights[..., j] belongs to the expert indices[..., j].",
        ),
        Misconception(
            "moe_experts_of_the_first_token",
            _experts(_of_the_first_token),
            "All tokens of a sequence were sent to the first token's experts.",
            "Each token has experts of its own.",
        ),
        Misconception(
            "moe_experts_in_turn",
            _experts(_in_turn),
            "Token t went to expert t mod E, whatever the router said.",
            "indices[b, t] says which experts token t of sequence b goes to.",
        ),
        Misconception(
            "moe_without_gelu",
            _experts(activation=lambda z: z),
            "There is no GELU between the experts' two matrices.",
            "GELU(x @ w_in[e]) @ w_out[e].",
        ),
        Misconception(
            "moe_gelu_at_the_end",
            _gelu_at_the_end,
            "The GELU came after the second matrix.",
            "It stands between the two: GELU(x @ w_in[e]) @ w_out[e].",
        ),
        Misconception(
            "moe_relu",
            _experts(activation=F.relu),
            "A ReLU stands where the GELU should be.",
            "Use the exact GELU, `F.gelu`.",
        ),
        Misconception(
            "moe_gelu_approximated",
            _experts(activation=lambda z: F.gelu(z, approximate="tanh")),
            "The GELU is the tanh approximation.",
            "The docstring asks for the exact one: `F.gelu(z)`.",
        ),
        Misconception(
            "moe_with_residual",
            lambda x, w_gate, w_in, w_out, k: x + _experts()(x, w_gate, w_in, w_out, k),
            "The token itself was added to the result.",
            "The residual connection belongs to the block; return the experts' part alone.",
        ),
        Misconception(
            "moe_k_cut_to_fit",
            lambda x, w_gate, w_in, w_out, k: _experts()(
                x, w_gate, w_in, w_out, min(k, w_gate.shape[1])
            ),
            "A k larger than the number of experts was quietly made to fit.",
            "Let the error of top_k_router through, or raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "token by token": _moe_by_token,
        "all experts, zeros for the others": _moe_all_at_once,
        "matrices gathered": _moe_by_gathering,
    },
)

# --------------------------------------------------------------------------- count_moe_parameters


def _counted(by):
    """A version that checks k; `by` counts from D, F, E and k."""

    def version(d_model, d_ff, num_experts, k):
        _needs_k(k, num_experts)
        return by(d_model, d_ff, num_experts, k)

    return version


def _right_count(D, F_, E, k):
    return 2 * D * F_ * E + D * E, 2 * D * F_ * k + D * E


def _from_modules(d_model, d_ff, num_experts, k):
    _needs_k(k, num_experts)

    def size(*shape):
        return nn.Linear(*shape, bias=False, device="meta").weight.numel()

    router_size = size(d_model, num_experts)
    each = [size(d_model, d_ff) + size(d_ff, d_model) for _ in range(num_experts)]
    return router_size + sum(each), router_size + sum(each[:k])


def _column_by_column(d_model, d_ff, num_experts, k):
    _needs_k(k, num_experts)
    idle = (num_experts - k) * 2 * d_model * d_ff
    total = num_experts * d_model * (2 * d_ff + 1)
    return [total, total - idle]


def _network(r, **given):
    return {"d_model": r.D, "d_ff": 4 * r.d_v, "num_experts": r.d, "k": r.h} | given


count_moe_parameters = Exercise(
    name="experts.count_moe_parameters",
    points=2,
    reference=reference.count_moe_parameters,
    returns=("the total", "the active parameters"),
    cases=(
        Case("one expert of several", lambda r: _network(r, k=1)),
        Case("some experts of several", _network),
        Case("all experts", lambda r: _network(r, k=r.d)),
        Case(
            "8 experts at Mixtral's width", lambda r: _network(r, d_model=4096, num_experts=8, k=2)
        ),
        Case(
            "more experts asked for than there are",
            lambda r: _network(r, k=r.d + 1),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["k"], args["num_experts"]),
        ),
    ),
    misconceptions=(
        Misconception(
            "moe_count_without_router",
            _counted(lambda D, F_, E, k: (2 * D * F_ * E, 2 * D * F_ * k)),
            "The router was forgotten.",
            "Add its D·E numbers to both counts.",
        ),
        Misconception(
            "moe_count_router_only_in_total",
            _counted(lambda D, F_, E, k: (2 * D * F_ * E + D * E, 2 * D * F_ * k)),
            "The router is missing from the active parameters.",
            "Before a token knows its experts, the router has to score all E of them.",
        ),
        Misconception(
            "moe_count_router_by_k",
            _counted(lambda D, F_, E, k: (2 * D * F_ * E + D * E, 2 * D * F_ * k + D * k)),
            "Only k columns of the router were counted as active.",
            "A token compares all E scores: the whole router, D·E, is active.",
        ),
        Misconception(
            "moe_count_all_active",
            _counted(lambda D, F_, E, k: (_right_count(D, F_, E, k)[0],) * 2),
            "All experts were counted as active.",
            "A token uses k of the E experts.",
        ),
        Misconception(
            "moe_count_one_active",
            _counted(lambda D, F_, E, k: _right_count(D, F_, E, 1)),
            "One expert was counted as active, whatever k is.",
            "A token uses k experts.",
        ),
        Misconception(
            "moe_count_total_of_k",
            _counted(lambda D, F_, E, k: (_right_count(D, F_, E, k)[1],) * 2),
            "The total holds only the k experts of one token.",
            "All E experts are stored: another token may want the others.",
        ),
        Misconception(
            "moe_count_one_matrix",
            _counted(lambda D, F_, E, k: (D * F_ * E + D * E, D * F_ * k + D * E)),
            "One matrix was counted for each expert.",
            "There are two: (D, F) and (F, D).",
        ),
        Misconception(
            "moe_count_three_matrices",
            _counted(lambda D, F_, E, k: (3 * D * F_ * E + D * E, 3 * D * F_ * k + D * E)),
            "Three matrices were counted for each expert, as in gated networks such as Mixtral's.",
            "The experts of this notebook have two.",
        ),
        Misconception(
            "moe_count_experts_share_the_width",
            _counted(lambda D, F_, E, k: (2 * D * F_ + D * E, 2 * D * F_ * k // E + D * E)),
            "The experts were taken for a partition of F, as heads are one of D.",
            "F is the width of one expert. Heads divide a width up; experts are added.",
        ),
        Misconception(
            "moe_count_attention_too",
            _counted(lambda D, F_, E, k: tuple(4 * D * D + n for n in _right_count(D, F_, E, k))),
            "The attention's four matrices were counted too.",
            "Count the router and the experts only.",
        ),
        Misconception(
            "moe_count_with_biases",
            _counted(
                lambda D, F_, E, k: (
                    (2 * D * F_ + D + F_) * E + D * E,
                    (2 * D * F_ + D + F_) * k + D * E,
                )
            ),
            "Biases were counted.",
            "The experts have two matrices and no biases.",
        ),
        Misconception(
            "moe_count_pair_swapped",
            _counted(lambda D, F_, E, k: _right_count(D, F_, E, k)[::-1]),
            "Total and active changed places.",
            "The total comes first.",
        ),
        Misconception(
            "moe_count_unchecked",
            _right_count,
            "A k larger than the number of experts was counted all the same.",
            "Check 1 <= k <= E first and raise a ValueError that names both.",
        ),
    ),
    equivalents={"modules": _from_modules, "idle experts taken off": _column_by_column},
)

EXERCISES = (top_k_router, moe_feed_forward, count_moe_parameters)
