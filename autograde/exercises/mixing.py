"""Exercises of notebook 05: W_O in slices, the heads' writes, and a layer without some heads."""

import numpy as np
import torch

from solutions import mixing as reference
from solutions.heads import merge_heads as merge
from solutions.mixing import head_writes as writes_of
from solutions.mixing import output_slices as slices_of

from .entry import Case, Exercise, Misconception

# ---------------------------------------------------------------------------------- output_slices


def _numbered(rows, columns):
    """Numbers that say where they sit: 100 r + c for w[r, c], exact in float32."""
    return torch.arange(rows)[:, None] * 100.0 + torch.arange(columns)


def _check_rows(w_o, h):
    if h < 1 or len(w_o) % h:
        raise ValueError(f"{len(w_o)} rows cannot be shared among {h} heads")


def _columns(w_o, h):
    """W_O cut into columns: as nn.Linear's weight, which is (out, in), would have to be."""
    d = len(w_o) // h
    return torch.stack([w_o[:, i * d : (i + 1) * d] for i in range(h)])


def _slices_padded(w_o, h):
    slices = torch.zeros(h, *w_o.shape)
    for i, rows in enumerate(torch.arange(len(w_o)).chunk(h)):
        slices[i, rows] = w_o[rows]
    return slices


def _slices_by_loop(w_o, h):
    _check_rows(w_o, h)
    d = len(w_o) // h
    return torch.stack([w_o[i * d : (i + 1) * d] for i in range(h)])


def _slices_by_chunks(w_o, h):
    _check_rows(w_o, h)
    return torch.stack(w_o.chunk(h))


def _slices_by_unflatten(w_o, h):
    _check_rows(w_o, h)
    return w_o.unflatten(0, (h, -1))


def _slices_by_numpy(w_o, h):
    _check_rows(w_o, h)
    return np.stack(np.split(w_o.numpy(), h))


output_slices = Exercise(
    name="mixing.output_slices",
    points=1,
    reference=reference.output_slices,
    returns=("the slices",),
    cases=(
        Case("one head", lambda r: {"w_o": r.weight(r.d, r.D), "num_heads": 1}),
        Case(
            "numbers that say where they sit",
            lambda r: {"w_o": _numbered(r.h * r.d, r.D), "num_heads": r.h},
        ),
        Case("h·d = D", lambda r: {"w_o": r.weight(r.h * r.d, r.h * r.d), "num_heads": r.h}),
        Case("random numbers", lambda r: {"w_o": r.weight(r.h * r.d, r.D), "num_heads": r.h}),
        Case(
            "rows that h does not divide",
            lambda r: {"w_o": r.weight(r.h * r.d + 1, r.D), "num_heads": r.h},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], len(args["w_o"])),
        ),
    ),
    misconceptions=(
        Misconception(
            "slices_of_columns",
            _columns,
            "The columns of W_O were shared out; a head's outputs meet rows.",
            "In z @ w_o the numbers of z meet the rows of w_o. (nn.Linear keeps its weight as "
            "(out, in): there it would be columns.)",
        ),
        Misconception(
            "slices_interleaved",
            lambda w_o, h: w_o.reshape(-1, h, w_o.shape[1]).transpose(0, 1),
            "Head i got every h-th row; it should get d neighbouring rows.",
            "The rows split as (h, d), with d varying fastest.",
        ),
        Misconception(
            "slices_h_and_d_swapped",
            lambda w_o, h: w_o.reshape(-1, h, w_o.shape[1]),
            "h and d changed places: there are d slices of h rows.",
            "Reshape to (num_heads, rows // num_heads, D).",
        ),
        Misconception(
            "slices_each_transposed",
            lambda w_o, h: slices_of(w_o, h).transpose(1, 2),
            "Each slice was transposed: (h, D, d).",
            "Rows stay rows: (h, d, D).",
        ),
        Misconception(
            "slices_after_transposing",
            lambda w_o, h: w_o.T.reshape(h, -1, w_o.shape[1]),
            "W_O was transposed first, so that rows and columns are mixed up.",
            "Here w is (in, out), and its first dimension already is the one to cut.",
        ),
        Misconception(
            "slices_dealt_into_another_shape",
            lambda w_o, h: w_o.reshape(h, w_o.shape[1], -1),
            "The numbers were dealt out as (h, D, d): a row of W_O is torn apart.",
            "The width D stays the last dimension: only the rows are cut.",
        ),
        Misconception(
            "slices_reversed",
            lambda w_o, h: slices_of(w_o, h).flip(0),
            "The slices came out in reverse order.",
            "Head 0 gets the first d rows.",
        ),
        Misconception(
            "slices_padded_with_zeros",
            _slices_padded,
            "Each slice has all h·d rows, with zeros where other heads' rows were.",
            "Keep only the d rows of the head: (h, d, D).",
        ),
        Misconception(
            "slices_copies_of_the_whole",
            lambda w_o, h: w_o.expand(h, *w_o.shape),
            "Every head got the whole W_O.",
            "The heads share the rows out: d = rows / h for each.",
        ),
        Misconception(
            "slices_drop_the_rest",
            lambda w_o, h: slices_of(w_o[: len(w_o) // h * h], h),
            "Rows that did not fit were dropped silently.",
            "Check rows % num_heads first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "loop": _slices_by_loop,
        "chunk": _slices_by_chunks,
        "unflatten": _slices_by_unflatten,
        "numpy": _slices_by_numpy,
    },
)

# ------------------------------------------------------------------------------------ head_writes


def _write(head_out, w_o, *, slices=slices_of):
    """The heads' writes, with W_O cut in some other way."""
    return (head_out @ slices(w_o, head_out.shape[1])).transpose(1, 2)


def _in_its_own_columns(head_out, w_o):
    """Each head's output where it stands in the concatenation: W_O left out."""
    batch, h, num_tokens, d = head_out.shape
    writes = head_out.new_zeros(batch, num_tokens, h, h * d)
    for i in range(h):
        writes[:, :, i, i * d : (i + 1) * d] = head_out[:, i]
    return writes


def _through_columns(head_out, w_o):
    return torch.einsum("bhtd,hnd->bthn", head_out, _columns(w_o, head_out.shape[1]))


def _heads_by_view(head_out, w_o):
    batch, h, num_tokens, d = head_out.shape
    z = head_out.reshape(batch, num_tokens, h, d)
    return torch.einsum("bthd,hdn->bthn", z, slices_of(w_o, h))


def _shared_equally(head_out, w_o):
    writes = writes_of(head_out, w_o)
    return writes.mean(2, keepdim=True).expand_as(writes)


def _shared_by_norm(head_out, w_o):
    """The output shared out by the size of z."""
    writes, z = writes_of(head_out, w_o), head_out.norm(dim=-1).transpose(1, 2)
    return writes.sum(2, keepdim=True) * (z / z.sum(-1, keepdim=True))[..., None]


def _rows_dropped(head_out, w_o):
    return _write(head_out, w_o[: head_out.shape[1] * head_out.shape[-1]])


def _needs_rows(head_out, w_o):
    _, h, _, d = head_out.shape
    if len(w_o) != h * d:
        raise ValueError(f"{h * d} numbers for {len(w_o)} rows")


def _writes_by_loop(head_out, w_o):
    _needs_rows(head_out, w_o)
    d = head_out.shape[-1]
    parts = [z @ w_o[i * d : (i + 1) * d] for i, z in enumerate(head_out.unbind(1))]
    return torch.stack(parts, dim=2)


def _writes_by_einsum(head_out, w_o):
    _needs_rows(head_out, w_o)
    slices = w_o.view(head_out.shape[1], head_out.shape[-1], -1)
    return torch.einsum("bhtd,hdn->bthn", head_out, slices)


def _writes_by_padding(head_out, w_o):
    _needs_rows(head_out, w_o)
    return _in_its_own_columns(head_out, w_o) @ w_o


def _writes_by_differences(head_out, w_o):
    """What the layer loses when a head is set to zero, in float64 against cancellation."""
    _needs_rows(head_out, w_o)
    z, w = head_out.double(), w_o.double()
    lost = []
    for i in range(z.shape[1]):
        without = z.clone()
        without[:, i] = 0
        lost.append(merge(z) @ w - merge(without) @ w)
    return torch.stack(lost, 2).to(head_out.dtype)


def _layer(r, **changes):
    """Arguments for head_writes; `changes` replace sizes."""
    size = {"T": r.T, "h": r.h, "D": r.D, "rows": None, **changes}
    rows = size["rows"] or size["h"] * r.d
    return {
        "head_out": r.normal(r.B, size["h"], size["T"], r.d),
        "w_o": r.weight(rows, size["D"]),
    }


head_writes = Exercise(
    name="mixing.head_writes",
    points=3,
    reference=reference.head_writes,
    returns=("the writes",),
    cases=(
        Case("one token", lambda r: _layer(r, T=1)),
        Case("one head", lambda r: _layer(r, h=1)),
        Case("as many heads as tokens", lambda r: _layer(r, T=r.h)),
        Case("h·d = D", lambda r: _layer(r, D=r.h * r.d)),
        Case("h·d different from D", _layer),
        Case(
            "a W_O with rows for wider heads",
            lambda r: _layer(r, rows=r.h * (r.d + 1)),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (
                args["head_out"].shape[1] * args["head_out"].shape[-1],
                len(args["w_o"]),
            ),
        ),
    ),
    misconceptions=(
        Misconception(
            "write_through_columns",
            _through_columns,
            "Each head went through its columns of W_O instead of its rows.",
            "In z @ w_o the numbers of z meet rows. (nn.Linear keeps its weight as (out, in): there it "
            "would be columns.)",
        ),
        Misconception(
            "write_without_w_o",
            _in_its_own_columns,
            "W_O was not applied: these are the heads' outputs at their places in the concatenation.",
            "Multiply each head's output by its slice of W_O: d numbers become D.",
        ),
        Misconception(
            "write_through_all_slices",
            lambda head_out, w_o: (head_out @ slices_of(w_o, head_out.shape[1]).sum(0)).transpose(
                1, 2
            ),
            "Each head went through all slices of W_O, as if it stood everywhere in the concatenation.",
            "Head i meets the rows i·d … (i+1)·d - 1 and no others.",
        ),
        Misconception(
            "write_through_first_slice",
            lambda head_out, w_o: (head_out @ slices_of(w_o, head_out.shape[1])[0]).transpose(1, 2),
            "Every head went through the slice of head 0.",
            "Each head has rows of its own in W_O.",
        ),
        Misconception(
            "write_through_interleaved_rows",
            lambda head_out, w_o: _write(
                head_out, w_o, slices=lambda w, h: w.reshape(-1, h, w.shape[1]).transpose(0, 1)
            ),
            "Head i went through every h-th row of W_O; its rows are d neighbours.",
            "Use output_slices: the rows split as (h, d).",
        ),
        Misconception(
            "write_slices_reversed",
            lambda head_out, w_o: _write(
                head_out, w_o, slices=lambda w, h: slices_of(w, h).flip(0)
            ),
            "The slices were used in reverse order: head 0 wrote through the last head's rows.",
            "Head 0 meets the first d rows.",
        ),
        Misconception(
            "write_heads_in_front",
            lambda head_out, w_o: writes_of(head_out, w_o).transpose(1, 2),
            "The result is (B, h, T, D): the heads stand in front of the tokens.",
            "Swap h and T at the end: (B, T, h, D).",
        ),
        Misconception(
            "write_summed_over_heads",
            lambda head_out, w_o: writes_of(head_out, w_o).sum(2),
            "The writes were added up: that is the layer's whole output.",
            "Keep the heads apart: (B, T, h, D).",
        ),
        Misconception(
            "write_tokens_and_heads_mixed_up",
            _heads_by_view,
            "The heads' outputs were reshaped to (B, T, h, d) without moving anything: heads and tokens "
            "are mixed up.",
            "Swap dimensions 1 and 2 with transpose; reshape never moves a number.",
        ),
        Misconception(
            "write_shared_equally",
            _shared_equally,
            "Every head was credited with the same share of the output. The sum is right, the parts "
            "are not.",
            "Compute each head's part from that head's output alone.",
        ),
        Misconception(
            "write_shared_by_norm",
            _shared_by_norm,
            "The output was shared out in proportion to the heads' norms. The sum is right, the parts "
            "are not.",
            "A head's write is its output times its slice of W_O.",
        ),
        Misconception(
            "write_divided_by_heads",
            lambda head_out, w_o: writes_of(head_out, w_o) / head_out.shape[1],
            "The writes were divided by h: their sum is the mean, not the layer's output.",
            "The layer adds the heads up; it does not average them.",
        ),
        Misconception(
            "write_running_sum",
            lambda head_out, w_o: writes_of(head_out, w_o).cumsum(2),
            "Each head was given the sum of all heads up to it.",
            "Every head adds its own write, whatever the others do.",
        ),
        Misconception(
            "write_norm_only",
            lambda head_out, w_o: writes_of(head_out, w_o).norm(dim=-1),
            "Only the writes' norms came back.",
            "Return the writes themselves: (B, T, h, D).",
        ),
        Misconception(
            "write_norm_of_head_out",
            lambda head_out, w_o: head_out.norm(dim=-1).transpose(1, 2),
            "These are the norms of the heads' outputs, before W_O: not what they write.",
            "Multiply each head's output by its slice of W_O, and return the vectors: (B, T, h, D).",
        ),
        Misconception(
            "write_drops_rows",
            _rows_dropped,
            "Rows of W_O that met no head were left out silently.",
            "Compare w_o.shape[0] with h·d first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "loop": _writes_by_loop,
        "einsum": _writes_by_einsum,
        "each head alone in a concatenation of zeros": _writes_by_padding,
        "what the layer loses without the head": _writes_by_differences,
    },
)

# ----------------------------------------------------------------------------------- ablate_heads


def _without(head_out, heads):
    kept = head_out.clone()
    kept[:, heads] = 0
    return kept


def _kept_instead(head_out, w_o, heads):
    rest = [i for i in range(head_out.shape[1]) if i not in heads]
    return merge(_without(head_out, rest)) @ w_o


def _tokens_silenced(head_out, w_o, heads):
    kept = head_out.clone()
    kept[:, :, heads] = 0
    return merge(kept) @ w_o


def _batch_silenced(head_out, w_o, heads):
    kept = head_out.clone()
    kept[[i % len(kept) for i in heads]] = 0
    return merge(kept) @ w_o


def _output_coordinates(head_out, w_o, heads):
    d = head_out.shape[-1]
    out = merge(head_out) @ w_o
    for i in heads:
        out[..., i * d : (i + 1) * d] = 0
    return out


def _renumbered(head_out, w_o, heads):
    rest = [i for i in range(head_out.shape[1]) if i not in heads]
    z = head_out[:, rest].transpose(1, 2).flatten(2)
    return z @ w_o[: z.shape[-1]]


def _rescaled(head_out, w_o, heads):
    h = head_out.shape[1]
    left = h - len(set(heads))
    return merge(_without(head_out, heads)) @ w_o * (h / left if left else 1)


def _mean_of_tokens(head_out, w_o, heads):
    kept = head_out.clone()
    kept[:, heads] = head_out[:, heads].mean(2, keepdim=True)
    return merge(kept) @ w_o


def _mean_of_others(head_out, w_o, heads):
    rest = [i for i in range(head_out.shape[1]) if i not in heads]
    kept = head_out.clone()
    if rest:
        kept[:, heads] = head_out[:, rest].mean(1, keepdim=True)
    return merge(kept) @ w_o


def _columns_of_concat(head_out, w_o, heads):
    """Every h-th column of the concatenation zeroed."""
    z = merge(head_out).clone()
    for i in heads:
        z[..., i :: head_out.shape[1]] = 0
    return z @ w_o


def _single_columns(head_out, w_o, heads):
    z = merge(head_out).clone()
    z[..., heads] = 0
    return z @ w_o


def _in_place(head_out, w_o, heads):
    _in_range(head_out, heads)
    head_out[:, heads] = 0
    return merge(head_out) @ w_o


def _repeats_subtracted(head_out, w_o, heads):
    _in_range(head_out, heads)
    writes = writes_of(head_out, w_o)
    return writes.sum(2) - writes[:, :, heads].sum(2)


def _unknown_ignored(head_out, w_o, heads):
    return merge(_without(head_out, [i for i in heads if 0 <= i < head_out.shape[1]])) @ w_o


def _in_range(head_out, heads):
    h = head_out.shape[1]
    if wrong := [i for i in heads if i not in range(h)]:
        raise ValueError(f"no head {wrong} among {h}")


def _by_writes(head_out, w_o, heads):
    _in_range(head_out, heads)
    rest = [i for i in range(head_out.shape[1]) if i not in heads]
    return writes_of(head_out, w_o)[:, :, rest].sum(2)


def _by_subtraction(head_out, w_o, heads):
    _in_range(head_out, heads)
    writes = writes_of(head_out, w_o)
    return merge(head_out) @ w_o - writes[:, :, sorted(set(heads))].sum(2)


def _by_mask(head_out, w_o, heads):
    _in_range(head_out, heads)
    on = torch.ones(head_out.shape[1])
    on[list(heads)] = 0.0
    return torch.einsum("bhtd,h,hdn->btn", head_out, on, slices_of(w_o, len(on)))


def _by_rows_of_w_o(head_out, w_o, heads):
    _in_range(head_out, heads)
    d, w = head_out.shape[-1], w_o.clone()
    for i in heads:
        w[i * d : (i + 1) * d] = 0
    return merge(head_out) @ w


def _ablation(r, heads, **changes):
    return {**_layer(r, **changes), "heads": heads}


ablate_heads = Exercise(
    name="mixing.ablate_heads",
    points=2,
    reference=reference.ablate_heads,
    returns=("the output",),
    cases=(
        Case("no head left out", lambda r: _ablation(r, [])),
        Case("head 1, one token", lambda r: _ablation(r, [1], T=1)),
        Case("head 0", lambda r: _ablation(r, [0])),
        Case("two heads, the later one first", lambda r: _ablation(r, [2, 0])),
        Case("h·d = D, head 1", lambda r: _ablation(r, [1], D=r.h * r.d)),
        # The answer is 0. Who subtracts writes from the whole output is left with rounding.
        Case("every head", lambda r: _ablation(r, list(range(r.h))), tolerance=1e-2),
        Case("a head named twice", lambda r: _ablation(r, [1, 1]), promise=0.1),
        Case(
            "a head that is not there",
            lambda r: _ablation(r, [0, r.h]),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["heads"][1], args["head_out"].shape[1]),
        ),
        Case(
            "a negative number",
            lambda r: _ablation(r, [-1]),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (-1, args["head_out"].shape[1]),
        ),
        Case(
            "the heads' outputs are left as they were",
            lambda r: _ablation(r, [1]),
            kind="unchanged",
            promise=0.1,
        ),
    ),
    misconceptions=(
        Misconception(
            "ablate_all_but_those_listed",
            _kept_instead,
            "The heads listed were kept and all others left out.",
            "`heads` names those that go.",
        ),
        Misconception(
            "ablate_nothing",
            lambda head_out, w_o, heads: merge(head_out) @ w_o,
            "Nothing was left out: this is the whole output.",
            "Set the outputs of the listed heads to zero before W_O.",
        ),
        Misconception(
            "ablate_tokens",
            _tokens_silenced,
            "Tokens were silenced in place of heads.",
            "In (B, h, T, d) the heads are dimension 1.",
        ),
        Misconception(
            "ablate_sequences",
            _batch_silenced,
            "Whole sequences of the batch were silenced in place of heads.",
            "In (B, h, T, d) the heads are dimension 1: [:, heads].",
        ),
        Misconception(
            "ablate_output_coordinates",
            _output_coordinates,
            "Coordinates of the output were set to zero. After W_O no coordinate belongs to a head.",
            "Take the head out before W_O has mixed it in.",
        ),
        Misconception(
            "ablate_and_renumber",
            _renumbered,
            "The heads that stay moved up and went through other heads' rows of W_O.",
            "Every head keeps its rows of W_O: put zeros where a head is missing.",
        ),
        Misconception(
            "ablate_and_rescale",
            _rescaled,
            "The heads that stay were scaled up by h / (number left), as dropout does in training.",
            "Leave the others as they are.",
        ),
        Misconception(
            "ablate_by_mean_over_tokens",
            _mean_of_tokens,
            "The heads were replaced by their mean over the tokens. That is mean ablation, a different "
            "experiment.",
            "Here a head that is left out counts as zero.",
        ),
        Misconception(
            "ablate_by_mean_of_others",
            _mean_of_others,
            "The heads left out were replaced by the mean of the others.",
            "Here a head that is left out counts as zero.",
        ),
        Misconception(
            "ablate_interleaved_columns",
            _columns_of_concat,
            "Every h-th column of the concatenation was set to zero.",
            "Head i's columns are the d neighbours i·d … (i+1)·d - 1.",
        ),
        Misconception(
            "ablate_single_columns",
            _single_columns,
            "Single columns of the concatenation were set to zero, not whole heads.",
            "A head has d columns. Before merging it is one index: [:, heads].",
        ),
        Misconception(
            "ablate_first_listed_only",
            lambda head_out, w_o, heads: merge(_without(head_out, heads[:1])) @ w_o,
            "Only the first head listed was left out.",
            "All of them go, at the same time.",
        ),
        Misconception(
            "ablate_counting_from_one",
            lambda head_out, w_o, heads: merge(_without(head_out, [i - 1 for i in heads])) @ w_o,
            "The heads were counted from 1: the neighbour before was left out.",
            "Head 0 is the first one.",
        ),
        Misconception(
            "ablate_without_w_o",
            lambda head_out, w_o, heads: merge(_without(head_out, heads)),
            "W_O was not applied after the heads were taken out.",
            "The result is the layer's output: merge, then @ w_o.",
        ),
        Misconception(
            "ablate_repeats_twice",
            _repeats_subtracted,
            "A head named twice was subtracted twice.",
            "Take each number once, for instance with set(heads).",
        ),
        Misconception(
            "ablate_unknown_ignored",
            _unknown_ignored,
            "A head that does not exist was passed over silently.",
            "Check every number first: 0 <= head < h, else a ValueError that names both.",
        ),
        Misconception(
            "ablate_negative_from_the_end",
            lambda head_out, w_o, heads: merge(_without(head_out, heads)) @ w_o,
            "Numbers outside 0 … h-1 were left to PyTorch, for which -1 is the last head, and which "
            "answers others with an IndexError.",
            "Check every number first: 0 <= head < h, else a ValueError that names both.",
        ),
        Misconception(
            "ablate_in_place",
            _in_place,
            "The heads' outputs given were changed: whoever ablates another head next starts from them.",
            "Work on a copy, such as head_out.clone().",
        ),
    ),
    equivalents={
        "sum of the writes that stay": _by_writes,
        "the whole output less the writes": _by_subtraction,
        "a factor 0 or 1 for each head": _by_mask,
        "rows of W_O set to zero": _by_rows_of_w_o,
    },
)

EXERCISES = (output_slices, head_writes, ablate_heads)
