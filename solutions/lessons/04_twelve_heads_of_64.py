# ---
# jupyter:
#   core_idea:
#     says: >-
#       12 heads of 64 fill a width of 768: four 768 × 768 matrices whatever h is; neither
#       parameters nor FLOPs depend on the number of heads.
#     explained: "Build 1: shape_trail"
#     measured: "Measure: is the time as indifferent as the FLOPs?"
#     drawn: "12 × 64 = 768, to scale"
# ---

# %% [markdown]
# # 4 · Twelve heads of 64
#
# **Where do the 768 numbers of a token go in a layer of 12 heads, and what do the heads cost?**
#
# *About 60 minutes.* 12 × 64 = 768: these are the sizes of GPT-2, and also of BERT-base and
# ViT-B/16. In notebook 3 you built the layer; here you learn to read its sizes like a plan and to
# count what it holds and what it does. You write:
#
# | function | what it does |
# |---|---|
# | `shape_trail` | lists every shape between input and output |
# | `unpack_qkv` | takes q, k and v of all heads out of GPT-2's packed projection |
# | `count_attention_parameters` | counts what a layer learns |
# | `count_attention_flops` | counts the operations of one pass |
#
# You write them in **[`mha_lib/sizing.py`](../mha_lib/sizing.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import Dropdown
from torch import nn

from attention_lab import sizes, splitting
from attention_lab.device import best_device
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import follow
from autograde import check, needs
from mha_lib import attention, heads, single, sizing

# %% [markdown]
# ## Predict
#
# Before any explanation. Predictions are recorded for you and not graded; we come back to each.

# %%
predict(
    "twelve-heads-parameters",
    "An attention layer of width 768 has a single head, 768 wide. You change it to 12 heads of 64. "
    "What happens to the number of its parameters?",
    [
        "12 times as many: every head has matrices of its own",
        "A little more: W_O has more heads to mix",
        "Exactly as many",
        "A twelfth: every head is smaller",
    ],
)

# %% [markdown]
# ## Build 1: shape_trail
#
# A wrong shape is the cheapest error there is, if you know the right one. So before any number is
# computed: which shapes does a batch go through? The usual case first, h·d = D.
#
# $$d = D / h$$
#
# **By hand**, B = 1 sequence of T = 3 tokens, D = 4, h = 2, so d = 2:
#
# | name | shape | why |
# |---|---|---|
# | `x` | (1, 3, 4) | the input |
# | `q` | (1, 3, 4) | x @ w_q: the queries of all heads, side by side |
# | `split_q` | (1, 2, 3, 2) | your `split_heads`: 2 heads, each sees 3 tokens, 2 numbers wide |
# | `scores` | (1, 2, 3, 3) | every query of a head meets every key of the same head |
# | `weights` | (1, 2, 3, 3) | the softmax changes no shape |
# | `head_out` | (1, 2, 3, 2) | (3, 3) @ (3, 2) for each head |
# | `concat` | (1, 3, 4) | your `merge_heads` |
# | `out` | (1, 3, 4) | concat @ w_o |
#
# **Write `shape_trail` in [`mha_lib/sizing.py`](../mha_lib/sizing.py).** The result is a dictionary with these eight names
# and tuples as values, for any sizes.
#
# [hints: sizing.shape_trail]

# %% nbgrader={"grade": true, "grade_id": "sizing-shape_trail"}
check("sizing.shape_trail")

# %% [markdown]
# ### 12 × 64 = 768, to scale
#
# Drawn from your numbers: one sequence of 128 tokens. One unit on the paper is one number; a row of
# a box is a token (in $W_Q$ and $W_O$, a row is an input). Follow head 3, in orange (heads are
# counted from 0).

# %%
needs("sizing.shape_trail")
trail = sizing.shape_trail(batch=1, num_tokens=128, d_model=768, num_heads=12)
for name, shape in trail.items():
    print(f"{name:9} {shape!s:18} {torch.Size(shape).numel():9,} numbers")

fig, alt = sizes.plot_flow(trail)
show(fig, alt=alt)

# %% [markdown]
# What to see:
#
# - $W_Q$ is one 768 × 768 matrix; a head *is* a strip of 64 of its columns. The strip is 768 tall:
#   each head reads the whole token.
# - After the split nothing crosses from one head to another, up to the concatenation.
# - $W_O$ is 768 × 768 as well; there a head is a strip of 64 *rows*, 768 wide: each head can write
#   to the whole token. That is the subject of [notebook 5](05_w_o_mixes.ipynb).
# - At 128 tokens the weights are the largest thing that is computed on the way: 12 tables of
#   128 × 128, twice the numbers of x.
#
# And with another number of heads? The width is a cake that is cut into more pieces. The tables of
# weights are not cut: each further head brings a whole one.

# %%
needs("sizing.shape_trail")
print("  h    d   numbers in split_q   numbers in weights   (one sequence of 128 tokens)")
for num_heads in (1, 2, 4, 12, 48, 192, 768):
    trail = sizing.shape_trail(1, 128, 768, num_heads)
    split_q, weights = (torch.Size(trail[name]).numel() for name in ("split_q", "weights"))
    print(f"{num_heads:3}  {trail['split_q'][-1]:3}   {split_q:18,}   {weights:18,}")

# %% [markdown]
# Keep that last column in mind for the end of this notebook.
#
# ## Build 2: unpack_qkv
#
# GPT-2 keeps $W_Q$, $W_K$ and $W_V$ in *one* matrix of 768 × 2304, so one product makes all three.
# What comes out is a row of 2304 numbers a token, and the order in it is a convention that no shape
# tells. GPT-2's is
#
# $$[\,q_0\, q_1 \dots q_{11} \mid k_0\, k_1 \dots k_{11} \mid v_0\, v_1 \dots v_{11}\,]$$
#
# where $q_3$ are the 64 numbers of head 3's query. PyTorch's `nn.MultiheadAttention` packs in this
# order, too.
#
# **By hand**, D = 4, h = 2, d = 2. The packed row of a token is 0, 1, 2, …, 11:
#
# | | head 0 | head 1 |
# |---|---|---|
# | q | 0, 1 | 2, 3 |
# | k | 4, 5 | 6, 7 |
# | v | 8, 9 | 10, 11 |
#
# **Write `unpack_qkv` in [`mha_lib/sizing.py`](../mha_lib/sizing.py).**
#
# [hints: sizing.unpack_qkv]

# %% nbgrader={"grade": true, "grade_id": "sizing-unpack_qkv"}
check("sizing.unpack_qkv")

# %% [markdown]
# ### Predict
#
# Other models pack head by head: GPT-NeoX and BLOOM have
#
# $$[\,q_0\, k_0\, v_0 \mid q_1\, k_1\, v_1 \mid \dots \mid q_{11}\, k_{11}\, v_{11}\,]$$
#
# (`transformers`, `modeling_gpt_neox.py` and `modeling_bloom.py`: the row is viewed as h pieces of
# 3·d before it is cut.) The packed width is the same, 2304.

# %%
predict(
    "twelve-heads-packed",
    "A program reads GPT-2's packed row in GPT-NeoX's order. The row holds 36 slices: q, k and v of "
    "12 heads. How many of them end up where they belong?",
    [
        "None",
        "1: head 0's q",
        "2",
        "12: all of q",
    ],
)

# %% [markdown]
# ### Look
#
# Every number in this packed tensor is the number of its column. We read it in both orders and
# compare slice by slice.

# %%
needs("sizing.unpack_qkv")
columns = sizes.columns_of_packed(batch=2, num_tokens=5, width=768)  # (B, T, 3·D)
yours = sizing.unpack_qkv(columns, num_heads=12)
per_head = sizes.read_per_head(columns, num_heads=12)
same = sizes.same_slices(yours, per_head)  # (3, h)
print("shapes:", tuple(yours[0].shape), tuple(per_head[0].shape))
for name, row in zip("qkv", same, strict=True):
    print(f"{name}: the same in the heads {row.nonzero().flatten().tolist()}")

fig, alt = sizes.plot_packing(12, same)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("sizing.unpack_qkv")
outcome(
    "twelve-heads-packed",
    2,
    f"{int(same.sum())} of {same.numel()}: the first slice and the last, head 0's q and head 11's "
    "v. (With an odd number of heads, the middle head's k as well.)",
)

# %% [markdown]
# That is why a spot check at the beginning of the tensor proves nothing, nor one at its end: head
# 0's query and the last head's value are right in both orders. Compare **all** slices, or the
# layer's output.
#
# What does the wrong order do to a layer? PyTorch's own module has a packed projection. We compute
# its output from its own parameters, with your functions, once with your unpacking and once head by
# head:

# %%
needs("sizing.unpack_qkv", "attention.scaled_dot_product_attention", "heads.merge_heads")
torch.manual_seed(0)
module = nn.MultiheadAttention(768, 12, batch_first=True).eval()
x = torch.randn(2, 10, 768)

with torch.inference_mode():
    truth = module(x, x, x, need_weights=False)[0]
    packed = x @ module.in_proj_weight.T + module.in_proj_bias  # (B, T, 3·D)
    for name, unpack in {"yours": sizing.unpack_qkv, "head by head": sizes.read_per_head}.items():
        head_out, _ = attention.scaled_dot_product_attention(*unpack(packed, 12))
        out = module.out_proj(heads.merge_heads(head_out))
        error = (out - truth).norm() / truth.norm()
        print(f"{name:13} shape {tuple(out.shape)}, relative error {error:.2g}")

# %% [markdown]
# No exception, no NaN, the right shape: only the numbers are wrong, as wrong as those of some other
# layer, since two unrelated outputs of the same size differ by √2 = 1.4. A pull request that adds GPT-NeoX to an
# inference program warns of the same trap: nothing throws, no shape differs, and the model writes
# fluent English all the same (GitHub, `lablup/mlxcel`, number 928; their statement, not measured
# here).
#
# Neither order is better in itself. A convention has to be looked up, in the code that goes with
# the weights. If both orders are possible, test with a real output.
#
# ## Build 3: count_attention_parameters
#
# How many numbers does a layer learn? The four matrices, for any number of heads $h$, of key and
# value heads $h_{kv}$ and any head width $d$:
#
# | matrix | shape | bias, if any |
# |---|---|---|
# | $W_Q$ | (D, h·d) | h·d |
# | $W_K$, $W_V$ | (D, h_kv·d) each | h_kv·d each |
# | $W_O$ | (h·d, D) | D |
#
# In the layer of notebook 3 every query head has keys and values of its own: $h_{kv} = h$. With
# $h_{kv} < h$ several query heads share them (grouped-query attention, Ainslie et al. 2023, arXiv
# 2305.13245); [notebook 8](08_self_cross_and_shared.ipynb) builds that, here we only
# count it.
#
# **By hand**, D = 4:
#
# | | W_Q | W_K | W_V | W_O | sum |
# |---|---|---|---|---|---|
# | h = 2, d = 2 | 16 | 16 | 16 | 16 | 64 |
# | the same with biases | 16 + 4 | 16 + 4 | 16 + 4 | 16 + 4 | 80 |
# | h = 2, d = 2, one key and value head | 16 | 8 | 8 | 16 | 48 |
# | h = 2, d = 3 | 24 | 24 | 24 | 24 | 96 |
#
# **Write `count_attention_parameters` in [`mha_lib/sizing.py`](../mha_lib/sizing.py).**
#
# [hints: sizing.count_attention_parameters]

# %% nbgrader={"grade": true, "grade_id": "sizing-count_attention_parameters"}
check("sizing.count_attention_parameters")

# %% [markdown]
# Against PyTorch: its module is asked for all its parameters, at every number of heads. It has
# biases by default.

# %%
needs("sizing.count_attention_parameters")


def parameters_of(**arguments):
    return sum(p.numel() for p in nn.MultiheadAttention(768, **arguments).parameters())


print("  h    d   your count   PyTorch's module   without biases")
for num_heads in (1, 2, 4, 12, 48, 768):
    with_bias = sizing.count_attention_parameters(768, num_heads, bias=True)
    without = sizing.count_attention_parameters(768, num_heads)
    print(
        f"{num_heads:3}  {768 // num_heads:3}   {with_bias:10,}   "
        f"{parameters_of(num_heads=num_heads):16,}   {without:14,}"
    )
print(f"4 · 768² = {4 * 768**2:,}; with 4 · 768 biases {4 * 768**2 + 4 * 768:,}")

# %% jupyter={"source_hidden": true}
needs("sizing.count_attention_parameters")
one, twelve = (sizing.count_attention_parameters(768, n) for n in (1, 12))
outcome(
    "twelve-heads-parameters",
    2,
    f"{one:,} with one head, {twelve:,} with 12. h cancels out of h·d = D: more heads of the same "
    "layer are narrower heads. Vaswani et al. 2017 (section 3.2.2) set d = D / h and point out "
    "that the computation is then about that of one head of full width.",
)

# %% [markdown]
# So at fixed D the number of heads is no capacity that you add, it is a way to divide the capacity
# that is there; [notebook 6](06_how_many_heads.ipynb) measures which division is good for what. The
# count does change when h·d = D is given up, or when heads share keys and values:

# %%
needs("sizing.count_attention_parameters")
layers = {
    "12 heads of 64": {},
    "12 heads of 64, 4 key and value heads": {"num_kv_heads": 4},
    "12 heads of 64, 1 key and value head": {"num_kv_heads": 1},
    "12 heads of 128": {"head_dim": 128},
    "12 heads of 32": {"head_dim": 32},
}
usual = sizing.count_attention_parameters(768, 12)
for name, arguments in layers.items():
    count = sizing.count_attention_parameters(768, 12, **arguments)
    print(f"{name:38} {count:10,}   {count / usual:.2f} of the usual case")

# %% [markdown]
# ### Try it: other layers
#
# Choose width, heads, and how many of the heads have keys and values of their own. The picture is
# drawn from your `shape_trail`, the count is your `count_attention_parameters`, and what they refuse
# is said below the picture.

# %%
needs("sizing.shape_trail", "sizing.count_attention_parameters")
follow(
    partial(sizes.plot_layer, sizing.shape_trail, sizing.count_attention_parameters),
    d_model=Dropdown(options=[512, 768, 1024], value=768, description="width D"),
    num_heads=Dropdown(options=[4, 8, 12, 16, 24], value=12, description="heads h"),
    num_kv_heads=Dropdown(
        options=[1, 2, 4, 8, 12, 16, 24], value=12, description="key/value heads"
    ),
)

# %% [markdown]
# ## Build 4: count_attention_flops
#
# Parameters take space, operations take time. A product of an (m, n) and an (n, p) matrix has m·p
# results, and each is a sum of n products: n multiplications and about n additions. By convention
# that counts as **2·m·n·p** floating-point operations (FLOPs).
#
# | step | for each | product | FLOPs |
# |---|---|---|---|
# | four projections | sequence | (T, D) @ (D, D) | 4 · 2·T·D·D |
# | scores | sequence and head | (T, d) @ (d, T) | 2·T·d·T |
# | weights · values | sequence and head | (T, T) @ (T, d) | 2·T·T·d |
#
# Softmax, scaling and biases are left out, as PyTorch's counter does.
#
# **By hand**, B = 1, T = 2, D = 4, h = 2, so d = 2. Projections: 4 · 2·2·4·4 = 256. Scores of one
# head: 2·2·2·2 = 16, and as many for its blends; two heads: 64. Together 320.
#
# **Write `count_attention_flops` in [`mha_lib/sizing.py`](../mha_lib/sizing.py).**
#
# [hints: sizing.count_attention_flops]

# %% nbgrader={"grade": true, "grade_id": "sizing-count_attention_flops"}
check("sizing.count_attention_flops")

# %% [markdown]
# ### Measure: your formula against PyTorch's counter
#
# `torch.utils.flop_counter` watches which operators run and on which shapes. We let it watch your
# `multi_head_attention` of notebook 3, at every number of heads.

# %%
needs("heads.multi_head_attention", "sizing.count_attention_flops")
weights = splitting.random_weights(768, 768)
x = torch.randn(2, 64, 768)
print("  h    d   your formula     PyTorch counts")
for num_heads in (1, 2, 4, 12, 48, 192):
    formula = sizing.count_attention_flops(2, 64, 768, num_heads)
    counted = sizes.counted_flops(heads.multi_head_attention, x, *weights, num_heads)
    print(f"{num_heads:3}  {768 // num_heads:3}   {formula:11,}   {counted:16,}")

# %% [markdown]
# h heads that are D / h wide: in the scores, h · 2·T·(D/h)·T = 2·T²·D, and h is gone. **The FLOPs
# of a layer do not depend on its number of heads**, as long as h·d stays the same.
#
# One caution about counters. PyTorch's `nn.MultiheadAttention` computes the same layer (notebook
# 3), and in inference it runs a fused look-up. What does the counter say?

# %%
needs("sizing.count_attention_flops")
module = nn.MultiheadAttention(768, 12, bias=False, batch_first=True).eval()
x = torch.randn(2, 128, 768)
counted = sizes.counted_flops(lambda x: module(x, x, x, need_weights=False), x)
formula = sizing.count_attention_flops(2, 128, 768, 12)
look_ups = 4 * 2 * 128**2 * 768  # 4·B·T²·D
print(f"your formula {formula:,}, counted {counted:,}, missing {formula - counted:,}")
print(f"the two products of the look-up: {look_ups:,}")

# %% [markdown]
# If something is missing on your machine, and if it is exactly the look-up: the work is done, but
# the counter adds up only operators that it has a formula for, and the fused operator that runs on
# a CPU is not in its list (PyTorch 2.13). The documentation says so: unsupported operations count
# as zero. If *your* layer shows less than the formula in the cell before, that is why: it calls a
# fused operator as well. Check what a counter counts before you believe it.
#
# ### Predict

# %%
predict(
    "twelve-heads-share",
    "D = 768 and a text of 1024 tokens. Which share of the layer's FLOPs is in the look-ups, that "
    "is in the scores and the blends?",
    [
        "Less than a third",
        "Between one third and two thirds",
        "More than two thirds: attention is quadratic",
    ],
)

# %%
needs("sizing.count_attention_flops")
fig, alt = sizes.plot_flops(sizing.count_attention_flops, d_model=768, num_heads=12)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("sizing.count_attention_flops")
share = 4 * 1024**2 * 768 / sizing.count_attention_flops(1, 1024, 768, 12)
outcome(
    "twelve-heads-share",
    0 if share < 1 / 3 else 1 if share <= 2 / 3 else 2,
    f"{share:.0%}. The projections are 8·T·D², the look-ups 4·T²·D: they are equal at T = 2·D = "
    f"{2 * 768}. On shorter texts most of the work of this layer is linear in T.",
)

# %% [markdown]
# ## Measure: is the time as indifferent as the FLOPs?
#
# Parameters and FLOPs do not depend on h. What about the clock?
#
# ### Predict

# %%
predict(
    "twelve-heads-time",
    "D = 768, one sequence of 128 tokens, one CPU thread, your own layer. How long do 192 heads of "
    "4 take, compared with one head of 768?",
    [
        "About as long, less than 1.5 times: the FLOPs are the same",
        "1.5 to 2.5 times as long",
        "More than 2.5 times as long",
    ],
)

# %% [markdown]
# ### Run it
#
# Your whole layer, and its parts alone, made with your `split_heads` and your `softmax`. All take
# turns; the median counts. Both axes are logarithmic: a straight line upwards is a power of h.

# %%
needs("attention.softmax", "heads.split_heads", "heads.multi_head_attention")
times = sizes.measure_parts(
    heads.multi_head_attention,
    heads.split_heads,
    attention.softmax,
    head_counts=[1, 4, 12, 48, 192],
    num_tokens=128,
    d_model=768,
)
fig, alt = sizes.plot_parts(times, d_model=768)
show(fig, alt=alt)

# %%
needs("attention.softmax", "heads.split_heads", "heads.multi_head_attention")
print(f"{'ms, one call':18}" + "".join(f"h = {h:<7}" for h in times))
for part in times[1]:
    print(f"{part:18}" + "".join(f"{times[h][part]:<11.2f}" for h in times))

# %% jupyter={"source_hidden": true}
needs("attention.softmax", "heads.split_heads", "heads.multi_head_attention")
many, dozen = (times[h][sizes.WHOLE] / times[1][sizes.WHOLE] for h in (192, 12))
outcome(
    "twelve-heads-time",
    0 if many < 1.5 else 1 if many <= 2.5 else 2,
    f"Measured on this machine just now: {many:.1f} times as long; 12 heads took {dozen:.1f} times "
    "as long as one.",
)

# %% [markdown]
# How to read it:
#
# - The projections do not know h; that line is level, up to the noise of the machine.
# - The scores and the weights are h·T·T numbers. The softmax works on each of them, and no FLOP of
#   it is in the count. A version that makes a tensor for each step, as the one of notebook 1 may,
#   also writes and reads that many numbers again and again.
# - Scores and blends have the same FLOPs at every h. But a product with an inner width of 4 reads
#   and writes more numbers for each multiplication than one with an inner width of 64: where those
#   lines rise, this is a plausible reason. The cell measures only the times.
# - A fused look-up need not write the tables out (notebook 3), so the same layer can come out
#   differently there, and so can a GPU. Neither is measured here.
#
# In short: **parameters and FLOPs do not depend on h; the number of weights does, as h·T², and on a
# real machine so does the time.** Compare the step from 1 to 12 heads with that from 12 to 192. The
# usual sizes (8 heads of 64 in the base model of Vaswani et al. 2017, 12 of 64 in GPT-2) lie on the
# side where the difference is small. How low d can go before the *results* suffer is the question of
# notebook 6.
#
# ## Measure: three ways to one layer, on your device
#
# One head after the other, all heads in one call, or a fused kernel: notebook 3 compared them on one
# CPU thread. Here the same three with **biases**, on the fastest device that PyTorch finds and with
# all its threads.
#
# Your functions take no biases and need none. Give every token a 1 more, and every projection one
# more row:
#
# $$[x,\; 1] \begin{pmatrix} W \\ b \end{pmatrix} = x W + b$$
#
# So $W_Q$, $W_K$ and $W_V$ become (D + 1, h·d), and the last bias is added at the end.

# %%
needs("single.single_head_attention", "heads.multi_head_attention")
device = best_device()
module = sizes.biased_layer(768, 12, device)
weights, last_bias = sizes.fold_biases(module)  # w_q, w_k, w_v (D + 1, h·d), w_o (h·d, D); (D)

three_ways = {
    "loop over heads": lambda x: (
        splitting.loop_over_heads(single.single_head_attention, sizes.with_one(x), weights, 12)
        + last_bias
    ),
    "batched, yours": lambda x: (
        heads.multi_head_attention(sizes.with_one(x), *weights, 12)[0] + last_bias
    ),
    "fused, PyTorch's": lambda x: module(x, x, x, need_weights=False)[0],
}
x = torch.randn(4, 128, 768, device=device)
with torch.inference_mode():
    outputs = {name: way(x) for name, way in three_ways.items()}
truth = outputs["fused, PyTorch's"]
times = sizes.times_on_device(three_ways, x)

held = sum(w.numel() for w in (*weights, last_bias))
print(f"4 sequences of 128 tokens on {device}; {held:,} numbers, biases included\n")
print(f"{'':18}{'relative difference':>20}{'ms, one call':>14}")
for name, out in outputs.items():
    difference = ((out - truth).norm() / truth.norm()).item()
    print(f"{name:18}{difference:20.0e}{times[name]:14.2f}")

# %% [markdown]
# Three programs, one function: they agree to rounding, and the count is that of your
# `count_attention_parameters` with `bias=True`. Which one is the fastest is a property of the device,
# the sizes and the moment; look at the times twice before you believe them.
#
# ## Break it: which order was read?
#
# Three heads of 4, so a packed row of 36 numbers in GPT-2's order. Four programs unpacked it. A
# box is one number that a head was given; its colour says whether the number is really part of a
# query, a key or a value, the digit to which head it belongs.

# %%
needs("sizing.unpack_qkv")
fig, alt = sizes.plot_readings(sizes.readings(sizing.unpack_qkv))
show(fig, alt=alt)

# %% [markdown]
# The cells with the quizzes are folded, since they hold the answers: select one and run it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "read as [q | k | v] of head 0, then of head 1, and so on",
    "read as triples: every third column is a query",
    "q, k and v are right, but head i takes every third column of each",
    "none: this one is right",
]
quiz(
    "twelve-heads-picture-a",
    "Picture A?",
    mistakes,
    answer=2,
    because="Every row has one colour, so q, k and v are not mixed up; but each head holds numbers "
    "of all three heads.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="Whole slices are in place or not: head 0's q is, and head 2's v. With 3 heads, an odd "
    "number, the middle head's k is right, too.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-c",
    "Picture C?",
    mistakes,
    answer=3,
    because="Row q is all queries, head 0 holds only numbers of head 0, and so on.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-d",
    "Picture D?",
    mistakes,
    answer=1,
    because="q, k and v of a head are neighbours, dealt out one by one: all three rows look almost "
    "alike, and head 0 gets nothing but queries.",
)

# %% [markdown]
# ## Break it: which way is it?
#
# Four ways of a sequence of 6 tokens through a layer with D = 12 and h = 3, to scale. Only one is
# multi-head attention. A stack of blue tables is one dimension more.

# %%
needs("sizing.shape_trail")
fig, alt = sizes.plot_trails(sizes.wrong_trails(sizing.shape_trail(1, 6, 12, 3)))
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
mistakes = [
    "the transpose is missing: in each token, heads attend to heads",
    "every head is as wide as the whole layer",
    "there is only one head of width D / h",
    "none: this one is right",
]
quiz(
    "twelve-heads-picture-e",
    "Picture E?",
    mistakes,
    answer=1,
    because="Three heads of 12: the concatenation is 36 wide. Such a layer is possible, with W_O "
    "(36, 12), but it is not the usual h·d = D: it has three times the parameters.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-f",
    "Picture F?",
    mistakes,
    answer=0,
    because="Six tables, one for each token, 3 × 3 in the middle: head against head. The result has "
    "the right shape, and no token has seen another one.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-g",
    "Picture G?",
    mistakes,
    answer=3,
    because="Three heads of 4, three 6 × 6 tables, and 12 numbers a token again at the end.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-picture-h",
    "Picture H?",
    mistakes,
    answer=2,
    because="The projection makes only the 4 columns of one head: no stack anywhere, one table of "
    "weights. W_O takes the 4 numbers to 12, so the output's shape gives nothing away.",
)

# %% [markdown]
# ## Write it down
#
# A colleague plans a model of width 768: “We go from 12 to 24 heads. That doubles the attention's
# parameters and its computation, but the layer can then look at twice as many things.”
#
# Explain in about six sentences what is wrong with the first half, what does change, and for which
# layer the colleague would be right about the cost.
#
# | 3 points | |
# |---|---|
# | 1 | says why neither parameters nor FLOPs change, with the reason (d = D / h, so h·d stays 768) |
# | 1 | names two things that do change, with numbers (the width of a head, the number of weights, the time measured above) |
# | 1 | describes the layer for which the parameters do double, with its shapes |

# %% [markdown] nbgrader={"grade": true, "grade_id": "twelve-heads-double", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# At fixed width, 24 heads are 32 wide instead of 64. W_Q, W_K and W_V have h·d = 768 columns and
# W_O has 768 rows, whatever h is: 4 · 768² = 2,359,296 weights before and after. The FLOPs of the
# look-ups are h · 4·T²·(768/h) = 4·T²·768 for each sequence, so h cancels there, too, and the
# projections never depended on it.
#
# What changes: there are 24 tables of weights instead of 12, each from queries and keys of 32
# numbers instead of 64, and their T × T entries double: h·T² numbers go through the softmax and,
# unless the kernel is fused, through memory. In the measurement above the time rises with h though
# the FLOPs do not.
#
# The colleague would be right about the parameters if the heads stayed 64 wide: h·d = 24 · 64 =
# 1536, so W_Q, W_K, W_V (768, 1536) and W_O (1536, 768), 4 · 768 · 1536 = 4,718,592 weights. All
# FLOPs double then as well.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded. In a configuration, `hidden_size` is D, `num_attention_heads` is h,
# `num_key_value_heads` is h_kv and `head_dim` is d.

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-card-1",
    "Gemma-7B: hidden size 3072, 16 heads, 16 key and value heads, head_dim 256. How many weights "
    "has the attention of one layer, without biases?",
    [
        "4 · 3072² = 37,748,736",
        "4 · 3072 · 4096 = 50,331,648",
        "4 · 4096² = 67,108,864",
        "16 · 4 · 3072² = 603,979,776",
    ],
    answer=1,
    because="h·d = 16 · 256 = 4096 is not D = 3072: W_Q, W_K and W_V are (3072, 4096), W_O is "
    "(4096, 3072). Source: default of the configuration class in transformers 5.24.0, and LitGPT's "
    "table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-card-2",
    "GPT-NeoX-20B: hidden size 6144, 64 heads, packed head by head as [q | k | v]. At which column "
    "of the packed row does head 1's key start, counted from 0?",
    ["96", "384", "6144", "6240"],
    answer=1,
    because="d = 6144 / 64 = 96. Head 0 takes the columns 0 to 287, head 1's q 288 to 383, then "
    "comes its k. In GPT-2's order it would be 6144 + 96 = 6240. Source: default of the "
    "configuration class in transformers 5.24.0; the order from its modeling_gpt_neox.py.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "twelve-heads-card-3",
    "Mistral-7B: hidden size 4096, 32 heads, 8 key and value heads, head_dim 128. Which share of "
    "4 · 4096² do the attention weights of one layer have?",
    ["Exactly all", "Three quarters", "Five eighths", "A quarter"],
    answer=2,
    because="W_Q and W_O are 4096 × 4096 as usual, W_K and W_V have 8 · 128 = 1024 columns, a "
    "quarter each: (1 + 1/4 + 1/4 + 1) / 4 = 5/8. Source: default of the configuration class in "
    "transformers 5.24.0, and LitGPT's table of named checkpoints.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("twelve-heads")

# %% [markdown]
# ## What's next
#
# You can now read a layer's sizes off its configuration, and you know which of them h touches: not
# the parameters, not the FLOPs, but the width of a head and the number of weights. In
# [notebook 5](05_w_o_mixes.ipynb) the matrix at the end of the flow gets its turn: what does $W_O$
# do with twelve strips of 64? Run `progress()` in [notebook 0](00_start_here.ipynb) to see where
# you stand.
