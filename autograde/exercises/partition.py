"""Exercises of notebook 06: the rank of each head's score matrix, and the usual head counts."""

import numpy as np
import torch

from solutions import partition as reference

from .entry import Case, Exercise, Misconception

# ------------------------------------------------------------------------------ head_scores_rank

_rank = torch.linalg.matrix_rank


def _slices(w, h):
    d = w.shape[1] // h
    return [w[:, i * d : (i + 1) * d] for i in range(h)]


def _ranks(queries, keys):
    return [int(_rank(q @ k.T)) for q, k in zip(queries, keys, strict=True)]


def _check_widths(w_q, w_k, h):
    if h < 1 or w_q.shape[1] % h or w_q.shape[1] != w_k.shape[1]:
        raise ValueError(f"{h} heads do not fit widths of {w_q.shape[1]} and {w_k.shape[1]}")


def _rank_by_qr(w_q, w_k, h):
    """W_Q = Q_1 R_1 and W_K = Q_2 R_2: the small matrix R_1 R_2^T has the same singular values."""
    _check_widths(w_q, w_k, h)
    found = []
    for q, k in zip(_slices(w_q, h), _slices(w_k, h), strict=True):
        core = torch.linalg.qr(q).R @ torch.linalg.qr(k).R.T
        values = torch.linalg.svdvals(core)
        found.append(int((values > values.max() * max(w_q.shape) * 1.2e-7).sum()))
    return found


def _rank_batched(w_q, w_k, h):
    _check_widths(w_q, w_k, h)
    q, k = (w.reshape(len(w), h, -1).transpose(0, 1) for w in (w_q, w_k))  # (h, D, d)
    return _rank(q @ k.transpose(1, 2)).tolist()


def _rank_by_numpy(w_q, w_k, h):
    _check_widths(w_q, w_k, h)
    pairs = zip(np.split(w_q.numpy(), h, 1), np.split(w_k.numpy(), h, 1), strict=True)
    return [int(np.linalg.matrix_rank(k @ q.T)) for q, k in pairs]


def _rank_with_own_limit(w_q, w_k, h):
    _check_widths(w_q, w_k, h)
    found = []
    for q, k in zip(w_q.double().chunk(h, 1), w_k.double().chunk(h, 1), strict=True):
        values = torch.linalg.svd(torch.einsum("ij,kj->ik", q, k))[1]
        found.append((values > 1e-6 * values[0]).sum().item())
    return tuple(found)


def _rank_rows(w_q, w_k, h):
    return _ranks(w_q.tensor_split(h), w_k.tensor_split(h))


def _rank_shared_keys(w_q, w_k, h):
    return _ranks(_slices(w_q, h), [_slices(w_k, h)[0]] * h)


def _pair(r, rows=None, heads=None):
    """Projections (D, h·d) of the usual size of numbers."""
    rows, h = rows or r.D, heads or r.h
    return {"w_q": r.weight(rows, h * r.d), "w_k": r.weight(rows, h * r.d), "num_heads": h}


def _repeated_columns(r):
    """Head 0 asks with two columns too few, head 1 answers with three, head 2 has one column."""
    args = _pair(r)
    heads = {name: _slices(args[name], r.h) for name in ("w_q", "w_k")}  # views
    heads["w_q"][0][:, 1:3] = heads["w_q"][0][:, :1]
    heads["w_k"][1][:, 1:4] = heads["w_k"][1][:, :1]
    heads["w_q"][2][:, 1:] = heads["w_q"][2][:, :1]
    return args


def _disjoint_columns(r):
    """Queries leave the last columns of their head empty, keys the first: few columns meet."""
    args = _pair(r)
    for i, (q, k) in enumerate(
        zip(_slices(args["w_q"], r.h), _slices(args["w_k"], r.h), strict=True)
    ):
        q[:, r.d - 1 - i % 3 :] = 0
        k[:, :2] = 0
    return args


def _disjoint_rows(r):
    """Queries read the first coordinates of a token, keys the last; three are read by both."""
    args = _pair(r)
    args["w_q"][r.d + 2 :] = 0
    args["w_k"][: r.d - 1] = 0
    return args


head_scores_rank = Exercise(
    name="partition.head_scores_rank",
    points=3,
    reference=reference.head_scores_rank,
    returns=("the ranks",),
    cases=(
        Case("one head", lambda r: _pair(r, heads=1)),
        Case("several heads", _pair),
        Case("heads that repeat some columns", _repeated_columns),
        Case("queries and keys that fill different columns", _disjoint_columns),
        Case("queries and keys that read different coordinates", _disjoint_rows),
        Case("heads wider than the tokens", lambda r: _pair(r, rows=r.d - 2)),
        Case(
            "a width that h does not divide",
            lambda r: {**_pair(r), "num_heads": r.h * r.d - 1},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["w_q"].shape[1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "rank_is_head_width",
            lambda w_q, w_k, h: [w_q.shape[1] // h] * h,
            "The width d was returned for every head, whatever is in the matrices.",
            "d is an upper bound. Measure: compute W_Q W_K^T of the head and take its rank.",
        ),
        Misconception(
            "rank_is_the_bound",
            lambda w_q, w_k, h: [min(len(w_q), w_q.shape[1] // h)] * h,
            "The bound min(d, D) was returned for every head, whatever is in the matrices.",
            "The bound need not be reached. Measure: compute W_Q W_K^T of the head and take its rank.",
        ),
        Misconception(
            "rank_is_matrix_size",
            lambda w_q, w_k, h: [len(w_q)] * h,
            "Every head came out with D: that is the size of W_Q W_K^T, or singular values were counted that are only rounding noise.",
            "Count singular values that are large compared with the largest: torch.linalg.matrix_rank does.",
        ),
        Misconception(
            "rank_of_whole_layer",
            lambda w_q, w_k, h: [int(_rank(w_q @ w_k.T))] * h,
            "The matrices were not split: every head got the rank of the whole W_Q W_K^T.",
            "Head i owns the columns i·d … (i+1)·d - 1 of both matrices.",
        ),
        Misconception(
            "rank_one_number",
            lambda w_q, w_k, h: int(_rank(w_q @ w_k.T)),
            "One number came back, for the layer as a whole.",
            "Return a list with one rank for each head.",
        ),
        Misconception(
            "rank_of_queries_alone",
            lambda w_q, w_k, h: [int(_rank(q)) for q in _slices(w_q, h)],
            "This is the rank of W_Q; the keys have a say in the scores too.",
            "Take the rank of the product W_Q W_K^T of the head.",
        ),
        Misconception(
            "rank_smaller_of_both",
            lambda w_q, w_k, h: [
                min(int(_rank(q)), int(_rank(k)))
                for q, k in zip(_slices(w_q, h), _slices(w_k, h), strict=True)
            ],
            "The smaller of the two ranks was taken. The product can have less: what the queries fill and the keys leave empty is lost.",
            "Multiply first, then take the rank.",
        ),
        Misconception(
            "rank_inner_product",
            lambda w_q, w_k, h: _ranks(
                [q.T for q in _slices(w_q, h)], [k.T for k in _slices(w_k, h)]
            ),
            "The rank of W_Q^T W_K (d, d) was taken, which compares columns of the projections with each other.",
            "Scores are x W_Q W_K^T x^T: the transpose stands on W_K, and the matrix is (D, D).",
        ),
        Misconception(
            "rank_elementwise",
            lambda w_q, w_k, h: [
                int(_rank(q * k)) for q, k in zip(_slices(w_q, h), _slices(w_k, h), strict=True)
            ],
            "W_Q and W_K were multiplied entry by entry.",
            "W_Q W_K^T is a matrix product: use @ and .T.",
        ),
        Misconception(
            "rank_interleaved",
            lambda w_q, w_k, h: _ranks(
                [w_q[:, i::h] for i in range(h)], [w_k[:, i::h] for i in range(h)]
            ),
            "Head i got every h-th column; it owns d neighbouring ones.",
            "Cut the columns into slices i·d … (i+1)·d - 1.",
        ),
        Misconception(
            "rank_rows_split",
            _rank_rows,
            "The rows were shared out among the heads: each head would see a part of the token only.",
            "Every head reads all D coordinates. Cut the columns, dimension 1.",
        ),
        Misconception(
            "rank_shared_keys",
            _rank_shared_keys,
            "All heads were given the keys of head 0.",
            "Head i has its own slice of w_k as well.",
        ),
        Misconception(
            "rank_reversed",
            lambda w_q, w_k, h: _ranks(_slices(w_q, h), _slices(w_k, h))[::-1],
            "The ranks came in reverse order.",
            "Head 0's rank comes first.",
        ),
        Misconception(
            "rank_as_tensor",
            lambda w_q, w_k, h: torch.tensor(_ranks(_slices(w_q, h), _slices(w_k, h))),
            "The ranks are right, but came as a tensor.",
            "Return a list of whole numbers: tolist() makes one.",
        ),
        Misconception(
            "rank_drops_the_rest",
            lambda w_q, w_k, h: _ranks(_slices(w_q, h), _slices(w_k, h)),
            "Columns that did not fit were dropped silently.",
            "Check width % num_heads first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "batched": _rank_batched,
        "QR, then a small matrix": _rank_by_qr,
        "numpy, transposed": _rank_by_numpy,
        "own limit in float64": _rank_with_own_limit,
    },
)

# ---------------------------------------------------------------------------- head_count_options

USUAL = (64, 128)


def _options(d_model, head_dims):
    return [d_model // d for d in head_dims if d_model % d == 0]


def _options_between(d_model, head_dims=USUAL):
    low, high = min(head_dims), max(head_dims)
    return [h for h in range(1, d_model + 1) if d_model % h == 0 and low <= d_model // h <= high]


def _check_positive(d_model, head_dims):
    if min(d_model, *head_dims) < 1:
        raise ValueError(f"not all widths are positive: {d_model}, {list(head_dims)}")


def _options_by_search(d_model, head_dims=USUAL):
    _check_positive(d_model, head_dims)
    return [h for h in range(1, d_model + 1) if any(h * d == d_model for d in head_dims)]


def _options_by_numpy(d_model, head_dims=USUAL):
    _check_positive(d_model, head_dims)
    d = np.array(head_dims)
    return np.unique(d_model // d[d_model % d == 0]).tolist()


def _options_by_divmod(d_model, head_dims=USUAL):
    _check_positive(d_model, head_dims)
    found = []
    for d in sorted(head_dims, reverse=True):
        h, rest = divmod(d_model, d)
        if rest == 0 and h not in found:
            found.append(h)
    return found


head_count_options = Exercise(
    name="partition.head_count_options",
    points=1,
    reference=reference.head_count_options,
    returns=("the head counts",),
    cases=(
        Case("64 and 128 both divide", lambda r: {"d_model": r.one_of(768, 1280, 1536, 2304)}),
        Case("only 64 divides", lambda r: {"d_model": r.one_of(320, 576, 832, 4544)}),
        Case("neither divides", lambda r: {"d_model": r.one_of(600, 700, 1000, 1900)}),
        Case(
            "other widths",
            lambda r: {"d_model": r.one_of(288, 576, 864), "head_dims": (48, 32, 80, 96)},
        ),
        Case(
            "the same width twice",
            lambda r: {"d_model": r.one_of(576, 1152, 1728), "head_dims": (64, 96, 64)},
        ),
        Case("a layer narrower than a head", lambda r: {"d_model": r.one_of(16, 32)}),
        Case(
            "a width below 1",
            lambda r: {"d_model": 768, "head_dims": (128, -r.one_of(32, 64, 96))},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["head_dims"][1],),
        ),
    ),
    misconceptions=(
        Misconception(
            "options_not_checked_to_divide",
            lambda D, dims=USUAL: sorted({D // d for d in dims}),
            "Widths that do not divide D were rounded down to a head count.",
            "Only a d with D % d == 0 gives a head count.",
        ),
        Misconception(
            "options_widths_returned",
            lambda D, dims=USUAL: sorted({d for d in dims if D % d == 0}),
            "The widths of a head came back, not the numbers of heads.",
            "A width d that divides D gives h = D // d.",
        ),
        Misconception(
            "options_not_sorted",
            lambda D, dims=USUAL: list(dict.fromkeys(_options(D, dims))),
            "The head counts came in the order of the widths.",
            "Sort them: a larger d gives a smaller h.",
        ),
        Misconception(
            "options_descending",
            lambda D, dims=USUAL: sorted(set(_options(D, dims)), reverse=True),
            "The head counts came in descending order.",
            "Ascending: the smallest h first.",
        ),
        Misconception(
            "options_repeated",
            lambda D, dims=USUAL: sorted(_options(D, dims)),
            "A width that was asked for twice gave its head count twice.",
            "Collect the counts in a set, then sort.",
        ),
        Misconception(
            "options_first_only",
            lambda D, dims=USUAL: _options(D, dims)[:1],
            "Only the first width that divides gave a head count.",
            "Go through all wanted widths.",
        ),
        Misconception(
            "options_all_divisors",
            lambda D, dims=USUAL: [h for h in range(1, D + 1) if D % h == 0],
            "Every divisor of D came back; the wanted widths were not looked at.",
            "h is an option only if D / h is one of the wanted widths.",
        ),
        Misconception(
            "options_widths_between",
            _options_between,
            "Head counts came back whose width lies between the wanted ones.",
            "The wanted widths are a list of choices, not a range.",
        ),
        Misconception(
            "options_only_64_and_128",
            lambda D, dims=USUAL: sorted(set(_options(D, USUAL))),
            "The argument head_dims was ignored: 64 and 128 were used.",
            "64 and 128 are only the default; use head_dims.",
        ),
        Misconception(
            "options_all_or_nothing",
            lambda D, dims=USUAL: (
                sorted(set(_options(D, dims))) if all(D % d == 0 for d in dims) else []
            ),
            "One width that does not divide made the whole list empty.",
            "Leave out that width only.",
        ),
        Misconception(
            "options_powers_of_two",
            lambda D, dims=USUAL: sorted({h for h in _options(D, dims) if h & (h - 1) == 0}),
            "Only powers of two came back.",
            "12 heads are as good a partition as 8: nothing asks for a power of two.",
        ),
        Misconception(
            "options_widths_unchecked",
            lambda D, dims=USUAL: sorted(set(_options(D, dims))),
            "A width below 1 went through.",
            "Raise a ValueError that names the number.",
        ),
    ),
    equivalents={
        "search over h": _options_by_search,
        "numpy": _options_by_numpy,
        "divmod, widest first": _options_by_divmod,
    },
)

EXERCISES = (head_scores_rank, head_count_options)
