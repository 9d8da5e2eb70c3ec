# ---
# jupyter:
#   core_idea:
#     says: >-
#       Multi-head attention splits the projected row into h slices, runs a look-up in each,
#       concatenates and projects: the shape that went in comes out.
#     explained: "The four steps in one picture"
#     measured: "Measure: one by one, all at once, and PyTorch's"
#     drawn: "Break it: who hears whom?"
# ---

# %% [markdown]
# # 3 · Split, run, concatenate, project
#
# **How does one layer hold many heads, and give back exactly the shape that came in?**
#
# *About 50 minutes.* In notebook 2 every head had matrices of its own. Real layers keep all heads
# in *one* matrix per projection and cut its result into slices (Vaswani et al. 2017, arXiv
# 1706.03762, section 3.2.2). You build that, in three functions:
#
# | function | what it does |
# |---|---|
# | `split_heads` | makes each slice of columns a head |
# | `merge_heads` | puts the heads' slices side by side again |
# | `multi_head_attention` | the whole layer: split, run, concatenate, project |
#
# You write them in **[`mha_lib/heads.py`](../mha_lib/heads.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
import torch

from attention_lab import splitting
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import explore_cuts
from autograde import check, needs
from mha_lib import attention, heads, single

# %% [markdown]
# ## Predict
#
# Before any explanation. Predictions are recorded for you and not graded; we come back to each.

# %%
predict(
    "split-run-shape",
    "x has the shape (2, 6, 12): 2 sequences, 6 tokens, 12 numbers each. A layer of 3 heads reads "
    "it. What is the shape of the layer's output?",
    [
        "(2, 6, 4): each head is responsible for 4 numbers",
        "(2, 6, 12): as it came in",
        "(2, 6, 36): three heads, three outputs of 12",
        "(2, 3, 6, 4): one output a head",
    ],
)

# %% [markdown]
# ## The four steps in one picture
#
# One sequence on its way through a layer, to scale. B = 2 sequences (one is drawn), T = 6 tokens,
# D = 12 numbers a token, h = 3 heads of d = 4. A row is a token, a colour is a head.

# %%
fig, alt = splitting.plot_trail(batch=2, num_tokens=6, d_model=12, num_heads=3)
show(fig, alt=alt)

# %% [markdown]
# $$\mathrm{MultiHead}(x) = \mathrm{Concat}(\mathrm{head}_1, \dots, \mathrm{head}_h)\, W_O$$
#
# $$\mathrm{head}_i = \mathrm{Attention}(x W_{Q,i},\; x W_{K,i},\; x W_{V,i})$$
#
# First, one matrix product each makes queries, keys and values for all heads at once: $W_Q$ is
# $W_{Q,1}, \dots, W_{Q,h}$ side by side, and so are $W_K$ and $W_V$. Then:
#
# 1. **Split**: the columns $i·d \dots (i+1)·d - 1$ become head $i$. (The formula counts heads from
#    1, the code from 0.) Nothing is computed.
# 2. **Run**: every head does its own look-up, the one of notebook 1, without seeing the others.
# 3. **Concatenate**: the heads' outputs go side by side again. Nothing is computed.
# 4. **Project**: one more matrix, $W_O$, (h·d, D), takes the row of slices back to D numbers.
#
# What is split is the *projected* row, not the token: each column of $W_Q$ reads all D numbers of
# the token, so every head sees the whole token.
#
# ## Build 1: split_heads
#
# Steps 1 and 3 only move numbers around. Mistakes in moving numbers have a nasty property: the
# shape is right, nothing crashes, the model even learns something. So we make numbers that carry
# their address with them:
#
# $$x[b, t, c] = 10000·b + 100·t + c$$
#
# 10307 was in sequence 1, token 3, column 7. No arithmetic, no tolerance: a number is where it
# belongs, or not.

# %%
tagged = splitting.tagged(batch=2, num_tokens=6, width=12)
print(tagged[1, 3])

# %% [markdown]
# **By hand**, one sequence of three tokens, D = 4, h = 2, so d = 2:
#
# | token | x | head 0 | head 1 |
# |---|---|---|---|
# | 0 | 0, 1, 2, 3 | 0, 1 | 2, 3 |
# | 1 | 100, 101, 102, 103 | 100, 101 | 102, 103 |
# | 2 | 200, 201, 202, 203 | 200, 201 | 202, 203 |
#
# Every head has a row for every token. The result has the shape (B, h, T, d): the heads become
# another batch dimension in front of (T, d), which is where your attention function of notebook 1
# expects whatever it should treat separately.

# %% [markdown]
# ### Predict
#
# PyTorch would also let you ask for the final shape at once, without changing the order of any
# dimensions: `x.view(2, 3, 6, 4)`. (`view` and `reshape` read the numbers in their order in memory
# and deal them out again, row by row.)

# %%
predict(
    "split-run-view",
    "`x.view(2, 3, 6, 4)` has the right shape. What does it put into head 0?",
    [
        "The same numbers as `split_heads`",
        "The right columns of every token, with the tokens in another order",
        "Whole tokens: all columns of the first two tokens, nothing of the other four",
        "Nothing: PyTorch refuses, the numbers would not fit",
    ],
)

# %% [markdown]
# ### Write
#
# **Write `split_heads` in [`mha_lib/heads.py`](../mha_lib/heads.py).**
#
# [hints: heads.split_heads]

# %% nbgrader={"grade": true, "grade_id": "heads-split_heads"}
check("heads.split_heads")

# %% [markdown]
# ### Look
#
# The colour of a number is the head that its column belongs to.

# %%
needs("heads.split_heads")
ours = heads.split_heads(tagged, num_heads=3)  # (B, T, D) -> (B, h, T, d)
bare = tagged.view(2, 3, 6, 4)
print("shapes:", tuple(ours.shape), tuple(bare.shape))

fig, alt = splitting.plot_split(tagged, {"your split_heads": ours, "bare view": bare})
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("heads.split_heads")
outcome(
    "split-run-view",
    2,
    f"Tokens in head 0 of the view: {sorted(set((bare[0, 0] // 100).flatten().tolist()))}; in head "
    f"0 of your split: {sorted(set((ours[0, 0] // 100).flatten().tolist()))}.",
)

# %% [markdown]
# With the bare view a "head" is no longer a point of view on all tokens, but a stretch of the text
# in which every token is torn into three. In the look-up, the pieces of a token look each other up,
# and tokens in different stretches never meet. What that does to a layer you will see below, under
# "Break it".
#
# The mistake is common, in published code too. On GitHub: `reczoo/FuxiCTR`, issue 30 (the split, in
# three models) and `jadore801120/attention-is-all-you-need-pytorch`, issue 7 (the merge, put right
# since). The question "why not just `view`?" is asked in `hyunwoongko/transformer`, issue 15.
#
# ## Build 2: merge_heads
#
# The exact inverse: what belonged to token $t$ in any head goes back into row $t$, head 0's slice
# first.
#
# **By hand**, from the table above: for token 1, head 0 has 100, 101 and head 1 has 102, 103;
# merged, the row of token 1 is 100, 101, 102, 103. Joining head 0's rows as they follow each other
# would instead start with 0, 1, 100, 101: two tokens of one head.
#
# **Write `merge_heads` in [`mha_lib/heads.py`](../mha_lib/heads.py).**
#
# [hints: heads.merge_heads]

# %% nbgrader={"grade": true, "grade_id": "heads-merge_heads"}
check("heads.merge_heads")

# %% [markdown]
# Split and merge lose nothing and mix nothing, whatever the number of heads:

# %%
needs("heads.split_heads", "heads.merge_heads")
for num_heads in (1, 2, 3, 4, 6, 12):
    back = heads.merge_heads(heads.split_heads(tagged, num_heads))
    print(f"h = {num_heads:2}  the same numbers in the same places: {torch.equal(back, tagged)}")

# %% [markdown]
# A test with h = 1 says nothing here, by the way: with one head a bare view is right, too. So is
# any view with T = 1.
#
# ## Build 3: multi_head_attention
#
# All parts are there: your `scaled_dot_product_attention` of notebook 1 treats every dimension in
# front of (T, d) as a batch, so it runs all heads in one call.
#
# **By hand.** Two tokens, D = 2, h = 2, so d = 1; all four matrices are the identity, so q = k = v
# = x. Token 0 is (1, 0), token 1 is (0, 1).
#
# | | head 0 (column 0) | head 1 (column 1) |
# |---|---|---|
# | q = k = v, token 0 and 1 | 1, 0 | 0, 1 |
# | scores of token 0, divided by √1 | 1, 0 | 0, 0 |
# | weights of token 0 | 0.731, 0.269 | 0.5, 0.5 |
# | output of token 0 | 0.731 | 0.5 |
#
# Concatenated, token 0 becomes (0.731, 0.5), and by symmetry token 1 becomes (0.5, 0.731). A
# *single* head of width 2 divides by √2: token 0's scores are 0.707 and 0, its weights 0.670 and
# 0.330, its output (0.670, 0.330). The same matrices, another layer: h is part of what a layer
# *is*, though no parameter shows it.
#
# **Write `multi_head_attention` in [`mha_lib/heads.py`](../mha_lib/heads.py).** Gradients need no attention of yours:
# PyTorch follows whatever you compute.
#
# [hints: heads.multi_head_attention]

# %% nbgrader={"grade": true, "grade_id": "heads-multi_head_attention"}
check("heads.multi_head_attention")

# %% [markdown]
# The example from above, with your function:

# %%
needs("heads.multi_head_attention")
eye = torch.eye(2)
for num_heads in (2, 1):
    out, weights = heads.multi_head_attention(eye[None], eye, eye, eye, eye, num_heads)
    print(f"h = {num_heads}: token 0 -> {out[0, 0].numpy().round(3)}, weights", *weights.shape)

# %% [markdown]
# And the first prediction, on the sizes of the picture:

# %%
needs("heads.multi_head_attention")
x = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(0))
out, weights = heads.multi_head_attention(x, *splitting.random_weights(12, 12), num_heads=3)
print("x", tuple(x.shape), "-> out", tuple(out.shape), "and weights", tuple(weights.shape))

# %% jupyter={"source_hidden": true}
needs("heads.multi_head_attention")
outcome(
    "split-run-shape",
    1,
    f"In {tuple(x.shape)}, out {tuple(out.shape)}. This is what lets a model stack such layers, "
    "and add a layer's output to its input.",
)

# %% [markdown]
# ## h·d = D is the usual case, not a rule
#
# In the picture h·d = 3·4 = 12 = D. Nothing in the four steps asks for that.
#
# ### Predict

# %%
predict(
    "split-run-wide",
    "x is still (2, 6, 12). w_q, w_k and w_v are now (12, 24), w_o is (24, 12), h = 3. What comes "
    "out?",
    [
        "An error: 3 heads of 8 do not fit into 12",
        "(2, 6, 24)",
        "(2, 6, 12)",
    ],
)

# %%
needs("heads.multi_head_attention")
w_q, w_k, w_v, w_o = splitting.random_weights(d_model=12, width=24)
out, weights = heads.multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads=3)
head_dim = w_q.shape[1] // 3
print("out", tuple(out.shape), "| weights", tuple(weights.shape), "| d =", head_dim)

try:  # a transposed W_O: here PyTorch objects, while a square one would slip through
    heads.multi_head_attention(x, w_q, w_k, w_v, w_o.T, num_heads=3)
except (RuntimeError, ValueError) as error:
    print("with w_o.T:", error)

# %% jupyter={"source_hidden": true}
needs("heads.multi_head_attention")
outcome(
    "split-run-wide",
    2,
    f"Each head is {head_dim} wide, the concatenation 24, and W_O takes it back to "
    f"{out.shape[-1]}. W_O decides the width of the output.",
)

# %% [markdown]
# ## Measure: one by one, all at once, and PyTorch's
#
# Running the heads together is a matter of arrangement. Three ways to the same layer:
#
# - **loop**: for each head, cut its columns out of the matrices, run your `single_head_attention`
#   of notebook 2, then concatenate and project;
# - **PyTorch's**: `nn.MultiheadAttention` with the same weights. As it need not return the
#   attention weights, it runs the fused `F.scaled_dot_product_attention`;
# - **yours**: all heads in one batched call.
#
# First: are they equal? 12 heads of 64, D = 768: the sizes of GPT-2.

# %%
needs("single.single_head_attention", "heads.multi_head_attention")


def three_ways(weights, num_heads):
    return {
        "loop": lambda x: splitting.loop_over_heads(
            single.single_head_attention, x, weights, num_heads
        ),
        "PyTorch's": splitting.torch_layer(weights, num_heads),
        "yours": lambda x: heads.multi_head_attention(x, *weights, num_heads)[0],
    }


with torch.inference_mode():
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(2, 128, 768, generator=torch.Generator().manual_seed(1)).to(dtype)
        layers = three_ways(splitting.random_weights(768, 768, dtype=dtype), num_heads=12)
        out = {name: layer(x) for name, layer in layers.items()}
        for name in ("loop", "PyTorch's"):
            difference = (out[name] - out["yours"]).norm() / out["yours"].norm()
            print(f"{dtype!s:14} {name:10} relative difference to yours {difference:.0e}")

# %% [markdown]
# Equal to rounding: what is left in 32 bit (around 1e-6 or less, or nothing at all) shrinks to
# around 1e-15 in 64 bit. A real difference between the formulas would not shrink.
#
# ### Predict

# %%
predict(
    "split-run-time",
    "12 heads, 2 sequences of 128 tokens, D = 768, one CPU thread. How long does the loop over "
    "heads take, compared with your batched version?",
    [
        "Less than 3 times as long",
        "3 to 8 times as long",
        "More than 8 times as long: it makes 12 calls instead of one",
    ],
)

# %% [markdown]
# ### Run it
#
# Three inputs: one short sequence, the input of the question, one long sequence. All on one thread,
# in 32 bit; the versions take turns, and the median over all their turns counts.

# %%
needs("single.single_head_attention", "heads.multi_head_attention")
layers = three_ways(splitting.random_weights(768, 768), num_heads=12)
generator = torch.Generator().manual_seed(2)
sizes = [(1, 8), (2, 128), (1, 512)]  # B, T
inputs = [torch.randn(*size, 768, generator=generator) for size in sizes]

times = splitting.measure_times(layers, inputs)
titles = [f"B = {batch}, T = {num_tokens}, 1 thread" for batch, num_tokens in sizes]
fig, alt = splitting.plot_times(times, titles)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("single.single_head_attention", "heads.multi_head_attention")
ratio = times[1]["loop"] / times[1]["yours"]
outcome(
    "split-run-time",
    0 if ratio < 3 else 1 if ratio <= 8 else 2,
    f"Measured on this machine just now: {ratio:.2f} times as long; on the short sequence "
    f"{times[0]['loop'] / times[0]['yours']:.2f} times, on the long one "
    f"{times[2]['loop'] / times[2]['yours']:.2f} times.",
)

# %% [markdown]
# How to read it:
#
# - The loop makes 12 times the calls, but each handles a twelfth of the columns: the number of
#   multiplications is the same. So nothing here is 12 times as slow.
# - Every call has a cost of its own, whatever its size. It shows on the short sequence, where there
#   is little else to do.
# - On the long one the weights of all heads are a large tensor: h·T·T numbers for each sequence,
#   which yours writes and reads more than once. The loop holds one head's at a time, and the fused
#   kernel need not write them out at all. Where the others come out faster on the right, this is a
#   plausible reason; the cell measures only the times. Yours has to keep the weights: it returns
#   them, and the course wants to look at them.
# - On hardware that computes far faster than it can be given orders, such as a GPU, a call's own
#   cost weighs more. That, too, is not measured here.
#
# Timings vary from machine to machine and from run to run, and a busy moment can turn a ratio near
# 1 either way. The equality does not vary. Batching changes *how* the layer is computed, never
# *what*.
#
# ## Break it: who hears whom?
#
# Four versions of a causal layer (h = 3, d = 4, B = 2). In each, we change one token of the input
# and see which rows of the output change. Yellow: the change arrives. In a causal layer a row may
# depend on its own token and on earlier ones, and on no others.

# %%
needs("heads.split_heads", "heads.merge_heads")
pictures = splitting.token_pictures(heads.split_heads, heads.merge_heads)
fig, alt = splitting.plot_pictures(pictures, "token that was changed", "row of the output")
show(fig, alt=alt)

# %% [markdown]
# All four return the right shape, without an error. Which mistake made which picture? The cells
# with the quizzes are folded, since they hold the answers: select one and run it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "split by a bare view, merge right",
    "split right, merge by a bare reshape",
    "both bare: view in split, reshape in merge",
    "none: this one is right",
]
quiz(
    "split-run-picture-a",
    "Picture A?",
    mistakes,
    answer=1,
    because="The look-ups were right and causal, but the reshape reads on through head 0 token by "
    "token: row 0 of the output is made of head 0's results for tokens 0, 1 and 2, row 1 of those "
    "for tokens 3, 4 and 5, and row 2 starts with head 1. Row 0 sees the future.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-b",
    "Picture B?",
    mistakes,
    answer=2,
    because="Each head is a stretch of two tokens, and the reshape puts the stretches back where "
    "they came from. Tokens of different stretches never meet. The causal order is even kept, so "
    "no test for leaks finds it.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-c",
    "Picture C?",
    mistakes,
    answer=3,
    because="The lower triangle with its diagonal: every row hears its own token and all earlier "
    "ones.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-d",
    "Picture D?",
    mistakes,
    answer=0,
    because="Head i holds tokens 2i and 2i + 1 in pieces, three rows each. The right merge takes "
    "row t of every head: for t below 3 a piece of tokens 0, 2 and 4. Row 0 sees the future.",
)

# %% [markdown]
# ## Break it: which head writes where?
#
# Split and merge are right now. We change the values of one head, and see which of the 12
# coordinates of the output change. A trained $W_O$ is dense, and everything would be yellow; this
# one is made to be seen: **it sends head 0's slice to coordinates 4 to 7, head 1's to 8 to 11 and
# head 2's to 0 to 3.**

# %%
needs("heads.split_heads", "heads.merge_heads")
pictures = splitting.write_pictures(heads.split_heads, heads.merge_heads)
fig, alt = splitting.plot_pictures(pictures, "coordinate of the output", "head")
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
mistakes = [
    "W_O missing",
    "W_O transposed",
    "the heads were averaged instead of kept side by side",
    "none: this one is right",
]
quiz(
    "split-run-picture-e",
    "Picture E?",
    mistakes,
    answer=1,
    because="Head 0 ends up in 8 to 11: the way back of what W_O does to head 1. As long as h·d "
    "is D, the transposed matrix fits, and nothing complains. PyTorch's `nn.Linear` keeps its "
    "matrix as (out, in), so this happens when weights are copied over.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-f",
    "Picture F?",
    mistakes,
    answer=2,
    because="Every head reaches everything, since every slot holds the same mean. After averaging, "
    "W_O cannot tell one head from another any more.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-g",
    "Picture G?",
    mistakes,
    answer=0,
    because="Each head writes to its own slot and nowhere else. With h·d = D the shape is right "
    "even so; without W_O, where a head's result goes is fixed by its number.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-picture-h",
    "Picture H?",
    mistakes,
    answer=3,
    because="Head 0 in 4 to 7, head 1 in 8 to 11, head 2 in 0 to 3: as W_O was made.",
)

# %% [markdown]
# ## Try it: cut a real layer
#
# Here your own function runs on real matrices: those of the first layer of a small pretrained
# encoder (all-MiniLM-L6-v2, D = 384). It was trained with 12 heads of 32. The slider cuts the same
# columns into another number of heads; no parameter changes. Only the weights are drawn, so W_O does
# not show here. Type another sentence, choose the causal mask, click a head, walk with the arrow
# keys. (The biases of the real layer are in it: a coordinate that is always 1 was added to x, and
# each bias as one more row of its matrix. Your function needs no change for that.)

# %%
needs("attention.causal_mask", "heads.multi_head_attention")
explore_cuts(
    heads.multi_head_attention,
    attention.causal_mask,
    "The bird flew home because it was tired.",
    head_counts=(1, 2, 3, 4, 6, 8, 12, 16, 24),
)

# %% [markdown]
# Two things to see. With one head there is one map: one way of looking for everything the layer does.
# And the maps of another cut are not finer versions of the trained 12: where a head is
# cut in two, each half has a softmax of its own, which takes part of the scores for the whole.
#
# ## Write it down
#
# A colleague shortens `split_heads` to `x.view(B, h, T, d)` and `merge_heads` to
# `x.reshape(B, T, h * d)`. All shape tests pass, merging a split still gives back x, the causal
# mask still holds, and the loss goes down.
#
# Explain in about six sentences what a head holds now and what the layer can therefore no longer
# do, why none of those tests notices, and give one test that does.
#
# | 3 points | |
# |---|---|
# | 1 | says which numbers are in a head now, and what the layer cannot do any more |
# | 1 | says why the tests named pass in spite of it (at least two of the four) |
# | 1 | gives a test that only the right version passes, with sizes for which that is so |

# %% [markdown] nbgrader={"grade": true, "grade_id": "split-run-why-view", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# A view deals the numbers out in their order in memory. Head i gets T·d consecutive numbers, that
# is a stretch of T/h whole tokens, each torn into h rows, instead of d columns of all tokens. Its
# attention mixes pieces of the tokens of that stretch, so a token can no longer get anything from a
# token in another stretch: with T = 6 and h = 3, token 5 hears tokens 4 and 5 only.
#
# Shape tests pass because the number of elements is the same. Merging gives back x because view and
# reshape undo each other, right or wrong. The causal mask holds because the stretches and the rows
# in them are still in the order of the tokens. And the loss falls because the layer still has
# parameters to fit, its residual stream and its neighbours; it is a worse layer, not a dead one.
#
# Tests that notice, with h of at least 2 and T of at least 2: tagged integers, where
# split_heads(x, h)[0, 1, 0] must be the columns d … 2d - 1 of token 0; or changing token 0 and
# requiring that the last row of the output changes; or comparing with a loop over heads or with
# PyTorch. With h = 1 the short version is right, so such a test would show nothing.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded. In a configuration, `hidden_size` is D, the number of heads is h, and
# `head_dim` (T5 calls it `d_kv`) is d.

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-card-1",
    "Whisper-tiny: hidden size 384, 6 heads, the usual case h·d = D. What does `split_heads` make "
    "of a (2, 30, 384) tensor?",
    ["(2, 6, 30, 384)", "(2, 30, 6, 64)", "(2, 6, 30, 64)", "(12, 5, 384)"],
    answer=2,
    because="d = 384 / 6 = 64, and the heads go in front of the tokens. Source: default of the "
    "configuration class in transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-card-2",
    "mT5-small: hidden size 512, 6 heads, d_kv = 64. What is the shape of W_O, in the order of "
    "this course (in, out)?",
    ["(512, 512)", "(384, 512)", "(512, 384)", "(64, 512)"],
    answer=1,
    because="6 · 64 = 384 numbers lie side by side, and W_O takes them back to 512. 512 / 6 is not "
    "even a whole number. Source: default of the configuration class in transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "split-run-card-3",
    "Qwen3-0.6B: hidden size 1024, 16 query heads, head_dim 128. How wide is the concatenation of "
    "its heads' outputs?",
    ["64", "1024", "2048", "16384"],
    answer=2,
    because="16 · 128 = 2048, twice the hidden size. Dividing 1024 by 16 gives 64 and is wrong "
    "here: when a card names head_dim, believe it. Source: LitGPT's table of named checkpoints.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("split-run")

# %% [markdown]
# ## What's next
#
# You have the layer that gives the course its name. What you now know for certain: split and
# concatenate move numbers and compute nothing; heads do not see each other until $W_O$; the output
# has the shape of the input because $W_O$ says so. [Notebook 4](04_twelve_heads_of_64.ipynb) follows
# the 768 numbers of a real model's token through it, and counts. Run `progress()` in
# [notebook 0](00_start_here.ipynb) to see where you stand.
