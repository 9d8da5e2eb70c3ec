# ---
# jupyter:
#   core_idea:
#     says: >-
#       Concatenate and project is the sum of what each head writes; W_O chooses where each head
#       writes, and interaction comes from what follows.
#     explained: "The last step, seen as a sum"
#     measured: "Measure: does its absence cost anything?"
#     drawn: "Where may a head write?"
# ---

# %% [markdown]
# # 5 · W_O mixes
#
# **What does the last matrix do that the concatenation does not, and what can it not do?**
#
# *About 55 minutes.* Until the last step, heads know nothing of each other. Then their outputs
# are put side by side and multiplied by $W_O$. "This is where the heads talk to each other", one
# often hears. You take the step apart, measure what is true of that sentence, and find out what
# goes missing when $W_O$ does. Three functions:
#
# | function | what it does |
# |---|---|
# | `output_slices` | cuts $W_O$ into the rows of each head |
# | `head_writes` | what each head alone adds to the layer's output |
# | `ablate_heads` | the layer's output without some of its heads |
#
# You write them in **[`mha_lib/mixing.py`](../mha_lib/mixing.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import Checkbox

from attention_lab import splitting, without_w_o, writes
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import explore_own, follow
from autograde import check, needs
from mha_lib import attention, heads, mixing

# %% [markdown]
# ## Predict

# %%
predict(
    "mixes-parts",
    "Twelve heads of 64. Instead of concatenating, you multiply each head's 64 numbers by 64 rows of "
    "W_O and add up the twelve results. How close is that to concat @ W_O?",
    [
        "Equal, up to rounding",
        "Close, but what arises between heads is missing",
        "Equal only if W_O is block-diagonal",
        "Another thing altogether",
    ],
)

# %% [markdown]
# ## The last step, seen as a sum
#
# One token, three heads of width 4, D = 12, to scale. A colour is a head.

# %%
fig, alt = writes.plot_blocks(num_heads=3, head_dim=4, d_model=12)
show(fig, alt=alt)

# %% [markdown]
# In a product of a row and a matrix, number $j$ of the row meets row $j$ of the matrix, and the
# results are added up. So head $i$, whose outputs $z_i$ stand in the columns $i·d \dots (i+1)·d -
# 1$ of the concatenation, meets the rows $i·d \dots (i+1)·d - 1$ of $W_O$ and no others. Call
# these $d$ rows the head's **slice** $W_O^{(i)}$, (d, D):
#
# $$\mathrm{Concat}(z_0, \dots, z_{h-1})\, W_O \;=\; \sum_{i=0}^{h-1} z_i\, W_O^{(i)}$$
#
# The term $z_i W_O^{(i)}$ is what head $i$ **writes**: D numbers for every token. The formula of
# Vaswani et al. (2017, arXiv 1706.03762, section 3.2.2) says concat and project; Elhage et al.
# (2021, "A Mathematical Framework for Transformer Circuits") start from the sum. It is one and
# the same layer.
#
# **By hand.** Two heads of width d = 1, D = 3; for one token $z_0 = 2$ and $z_1 = 3$.
#
# $$W_O = \begin{pmatrix} 1 & 0 & 1 \\ 0 & 2 & -1 \end{pmatrix}$$
#
# | | slice | write |
# |---|---|---|
# | head 0 | (1, 0, 1) | 2 · (1, 0, 1) = (2, 0, 2) |
# | head 1 | (0, 2, -1) | 3 · (0, 2, -1) = (0, 6, -3) |
# | sum | | (2, 6, -1) |
#
# And (2, 3) times $W_O$ is (2, 6, -1).
#
# ## Build 1: output_slices
#
# Cut $W_O$, (h·d, D), into the slices: (h, d, D).
#
# **By hand**: for h = 2 and the $W_O$ above, `[[[1, 0, 1]], [[0, 2, -1]]]`, of shape (2, 1, 3).
#
# **Write `output_slices` in [`mha_lib/mixing.py`](../mha_lib/mixing.py).**
#
# [hints: mixing.output_slices]

# %% nbgrader={"grade": true, "grade_id": "mixing-output_slices"}
check("mixing.output_slices")

# %% [markdown]
# ## Build 2: head_writes
#
# All writes at once, apart from each other: `head_writes(head_out, w_o)[b, t, i]` is what head
# $i$ adds to token $t$ of sequence $b$.
#
# **Write `head_writes` in [`mha_lib/mixing.py`](../mha_lib/mixing.py).**
#
# [hints: mixing.head_writes]

# %% nbgrader={"grade": true, "grade_id": "mixing-head_writes"}
check("mixing.head_writes")

# %% [markdown]
# ## Measure: concat and project = the sum of the writes
#
# Twelve heads of 64, D = 768, random weights, 2 sequences of 128 tokens; in 32 and in 64 bit.

# %%
needs("mixing.head_writes")
layer = writes.random_layer(12, 64, 768, num_tokens=128)
difference = {}
for dtype in (torch.float32, torch.float64):
    z, w_o = layer.head_out.to(dtype), layer.w_o.to(dtype)
    at_once = without_w_o.concat_and_project(z, w_o)  # (B, T, h·d) @ (h·d, D)
    in_parts = mixing.head_writes(z, w_o).sum(2)  # (B, T, h, D) -> (B, T, D)
    difference[dtype] = ((at_once - in_parts).norm() / at_once.norm()).item()
    largest = (at_once - in_parts).abs().max()
    print(f"{dtype!s:14} relative {difference[dtype]:.0e}, largest single one {largest:.0e}")

# %% jupyter={"source_hidden": true}
needs("mixing.head_writes")
outcome(
    "mixes-parts",
    0,
    f"The relative difference is {difference[torch.float32]:.0e} in 32 bit and "
    f"{difference[torch.float64]:.0e} in 64 bit. It shrinks with the precision, as rounding does: the "
    "two are the same sum in another order.",
)

# %% [markdown]
# This is proven, not only measured: no training, no weights and no input can make it otherwise.
# There is nothing in the layer's output that belongs to two heads together.
#
# ### Try it: heads on and off
#
# Three heads of 4, one token. Switch heads off and on, and watch the sum.

# %%
needs("mixing.head_writes")
small = writes.random_layer(3, 4, 12)
one_token = mixing.head_writes(small.head_out, small.w_o)[0, 5]  # (h, D)
follow(
    partial(writes.plot_sum, one_token),
    **{f"head_{i}": Checkbox(value=True, description=f"head {i}") for i in range(3)},
)

# %% [markdown]
# ## Where may a head write?
#
# ### Predict

# %%
predict(
    "mixes-directions",
    "A dense W_O, (768, 768), a head of width 64. You collect the head's writes for 1,024 tokens, a "
    "matrix of 1,024 × 768. What is its rank: how many directions do the writes span?",
    [
        "1: a head is one direction",
        "64",
        "768: W_O lets it write anywhere",
        "1,024: one for each token",
    ],
)

# %% [markdown]
# ### Look
#
# Three heads of 4. Leaving $W_O$ out is the same as putting the identity in its place.
# Block-diagonal means: each head has a 4 × 4 matrix of its own and still stays in its own
# columns.

# %%
needs("mixing.head_writes")
small = writes.random_layer(3, 4, 12, num_tokens=64)
reach = {
    title: mixing.head_writes(small.head_out, w_o) for title, w_o in writes.three_w_o(3, 4).items()
}
fig, alt = writes.plot_reach(reach)
show(fig, alt=alt)

# %% [markdown]
# Without $W_O$ the *number* of a head decides which d of the D coordinates it writes to, and no
# other head can ever write there. With a dense $W_O$ every head reaches every coordinate, several
# can write to the same one, and there their writes add up. That sum is all the mixing there is.
#
# "Anywhere" has a limit, though. Now the rank:

# %%
needs("mixing.head_writes")
layer = writes.random_layer(12, 64, 768, batch=4, num_tokens=256)
parts = mixing.head_writes(layer.head_out, layer.w_o).flatten(0, 1)  # (1024, h, D)
rank = {
    "head 0": torch.linalg.matrix_rank(parts[:, 0]).item(),
    "heads 0 and 1 together": torch.linalg.matrix_rank(parts[:, :2].sum(1)).item(),
    "the whole output": torch.linalg.matrix_rank(parts.sum(1)).item(),
}
for name, number in rank.items():
    print(f"{name:24} rank {number}")

# %% jupyter={"source_hidden": true}
needs("mixing.head_writes")
outcome(
    "mixes-directions",
    1,
    f"Measured: {rank['head 0']}. Every write is a combination of the {layer.head_out.shape[-1]} rows of the head's slice. "
    "The coordinates are free, the number of directions is d. W_O chooses which d directions of the 768 a "
    "head gets; without W_O they are d axes.",
)

# %% [markdown]
# ## Build 3: ablate_heads
#
# A layer that is a sum of heads can be computed without one of them: leave its term out. That is
# what **ablating** a head means here: its output counts as zero (Michel et al. 2019, arXiv
# 1905.10650, do it with whole models). The other heads stay exactly as they are.
#
# **By hand**, from above: without head 0 the output is (0, 6, -3), without head 1 (2, 0, 2),
# without both (0, 0, 0).
#
# **Write `ablate_heads` in [`mha_lib/mixing.py`](../mha_lib/mixing.py).** `heads` is a list of numbers, such as `[2, 0]`.
#
# [hints: mixing.ablate_heads]

# %% nbgrader={"grade": true, "grade_id": "mixing-ablate_heads"}
check("mixing.ablate_heads")

# %% [markdown]
# ## Measure: do heads interact?
#
# There is a test for "these two interact" that needs no theory. Leave out head 0 and note what
# changes. Leave out head 1 and note it. Leave out both. If the two do not interact, the joint
# change is the sum of the single ones.
#
# ### Predict

# %%
predict(
    "mixes-joint",
    "Dense W_O. Is the joint change the sum of the single changes?",
    [
        "Not even in the layer's output: W_O mixes the heads",
        "In the layer's output yes, but no longer behind any matrix that follows",
        "In the layer's output yes and behind further matrices too, but not behind a feed-forward network",
        "Everywhere: a sum stays a sum",
    ],
)

# %% [markdown]
# ### Run it
#
# A layer of 8 heads of 8, and six things that may read its output, all with random weights. (How
# long the orange bars are would be different in a trained model. Which ones are zero would not.)

# %%
needs("mixing.ablate_heads")
layer = writes.random_layer(8, 8, 64)
found = writes.joint_against_single(layer, mixing.ablate_heads, heads=(0, 1))
fig, alt = writes.plot_interactions(found)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("mixing.ablate_heads")
outcome(
    "mixes-joint",
    2,
    f"Difference in the output itself {found['nothing (the output itself)']:.0e}, behind a dense "
    f"matrix {found['a dense matrix']:.0e}: rounding. Behind a feed-forward network "
    f"{found['feed-forward network (GELU)']:.3f} of the joint effect.",
)

# %% [markdown]
# So this is what is mixing and what is not:
#
# - $W_O$ **adds** the heads in directions of its choosing. It is linear in all heads together:
#   head 0's contribution is the same whatever head 1 found.
# - **Interaction**, where what one head found changes what another's finding *does*, comes from
#   what follows: layer norm, the feed-forward network, the softmax of the next layer. $W_O$
#   decides what they get to see together.
#
# A practical consequence: behind the layer, the effects of single ablations need not add up to
# the effect of a joint one. Whoever wants to know what *five* heads are good for must leave out
# five. (All of this is about given outputs of the heads. Each head's own output is anything but
# linear in x: its weights come from a softmax.)
#
# ### Try it: leave heads of a real model out
#
# The small encoder of notebook 0, its attention run by your `multi_head_attention`. "Silence this
# head" computes that layer's output with your `ablate_heads`. Silence a head of layer 0: the other
# heads of layer 0 keep their maps, those of later layers change. (Behind the last layer there is no
# other; the line above the maps says how far the model's output has moved.)

# %%
needs("attention.causal_mask", "heads.split_heads", "heads.multi_head_attention")
needs("mixing.ablate_heads")
explore_own(
    heads.multi_head_attention,
    heads.split_heads,
    mixing.ablate_heads,
    "The bird flew home because it was tired.",
    causal_mask=attention.causal_mask,
    lenses=[(0, 2)],
    asking="it",
    title="heads to leave out",
)

# %% [markdown]
# ## Measure: does its absence cost anything?
#
# Now the honest question. If $W_O$ is a linear map and what reads the layer starts with a linear
# map too, is $W_O$ needed at all?
#
# **The task** is that of notebook 2: tokens with names and values, here with m = 3 look-ups, and
# a layer of h = 3 heads of 16. The layer's output, 48 numbers, is cut into three slices of 16,
# and **slice i must answer two look-ups**, i and the next one (after 2 comes 0). Every slice
# needs what two heads found, in one place. There are two readers, both linear:
#
# - **dense**: each answer is read from all 48 numbers, as by a feed-forward network's first
#   matrix or by the next layer's projections;
# - **sliced**: each answer is read from the 16 numbers of its slice, and nothing else.
#
# ### Predict
#
# Everything is trained: queries, keys, values, readers, and $W_O$ where there is one. The
# unexplained share is 0 when all answers are right and 1 when nothing is known.

# %%
predict(
    "mixes-dense-reader",
    "W_O absent, dense reader. The unexplained share?",
    ["Near 0", "About 1/3", "About 1/2", "Near 1"],
)

# %%
predict(
    "mixes-sliced-reader",
    "W_O absent, sliced reader. The unexplained share?",
    [
        "Near 0: training finds another way",
        "About 1/3",
        "About 1/2",
        "Near 1: nothing can be read",
    ],
)

# %% [markdown]
# Your `head_writes` is the layer's last step: the output is the sum of the writes. Each run takes
# a few seconds; stop it whenever you like (Kernel > Interrupt). Longer: `steps=2000`.

# %%
needs("mixing.head_writes")
live, trained = [], {}
for w_o, reader in (("dense", "sliced"), ("absent", "sliced"), ("absent", "dense")):
    run, trained[w_o, reader] = without_w_o.train_slices(
        w_o, reader, mix=lambda z, w: mixing.head_writes(z, w).sum(2), seed=100, steps=400
    )
    live.append(run)
    print(f"W_O {w_o:7} reader {reader:7} unexplained {run.share:.3f}")

# %% [markdown]
# One seed proves little. Ten are recorded for each combination, 600 steps each
# (`python -m attention_lab.without_w_o record` repeats them):

# %%
needs("mixing.head_writes")
recorded = without_w_o.recorded_slices()
fig, alt = without_w_o.plot_slices(live, recorded)
show(fig, alt=alt)
print(without_w_o.summary(recorded))

# %% jupyter={"source_hidden": true}
needs("mixing.head_writes")
absent = without_w_o.select(recorded, w_o="absent")
shares = {
    reader: [run.share for run in without_w_o.select(absent, reader=reader)]
    for reader in without_w_o.READERS
}
outcome(
    "mixes-dense-reader",
    0,
    f"At most {max(shares['dense']):.3f} over {len(shares['dense'])} recorded seeds. The reader does the "
    "mixing itself.",
)
outcome(
    "mixes-sliced-reader",
    2,
    f"{min(shares['sliced']):.3f} to {max(shares['sliced']):.3f} over {len(shares['sliced'])} recorded "
    "seeds. Without W_O a slice holds one head, and one head is one blend.",
)

# %% [markdown]
# **Why 1/2, exactly.** Queries and keys cannot see the values here, so a slice that holds one
# head holds one blend, and a linear reader of one blend leaves at least 1 - 1/2 of two answers:
# your `unexplained_floor(1, 2)` of notebook 2. A block-diagonal $W_O$ changes nothing, however
# well it is trained: it turns the blend around inside its slice.
#
# **Why 0 with a dense reader, exactly.** Two matrices in a row are one:
#
# $$(\mathrm{Concat}\; W_O)\, R = \mathrm{Concat}\,(W_O R)$$
#
# Whatever $W_O$ and a dense linear reader $R$ do together, a reader $W_O R$ does alone:

# %%
needs("mixing.head_writes")
layer = writes.random_layer(12, 64, 768)
reader = torch.randn(768, 100, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
with_w_o = mixing.head_writes(layer.head_out, layer.w_o).sum(2) @ reader
folded = without_w_o.concat_and_project(layer.head_out, layer.w_o @ reader)  # W_O inside the reader
print(f"relative difference {((with_w_o - folded).norm() / with_w_o.norm()).item():.0e}")

# %% [markdown]
# One condition hides in this: the reader sees the concatenation and nothing else. With a residual
# connection it sees x + output. There a reader $R$ gives $xR + \mathrm{Concat}\, W_O R$, so x wants
# $R$ and the heads want $W_O R$; without $W_O$ one matrix would have to be both. So for the residual
# stream this is no proof, and we shall have to measure.
#
# **How artificial is this?** Quite. The sliced reader was made up in order to show the one thing
# that $W_O$ alone does: bring what several heads found together *within this layer*. Nothing in a
# standard transformer reads a layer's output in slices: what follows starts with dense matrices,
# behind a layer norm. The proof also needs the reader to be linear. The table above has a reader
# for which it does not hold, "sliced mlp" with 64 GELUs for each slice:

# %%
needs("mixing.head_writes")
for w_o in without_w_o.MIXINGS:
    runs = without_w_o.select(recorded, reader="sliced mlp", w_o=w_o)
    left = [run.share for run in runs]
    print(
        f"sliced mlp, W_O {w_o:14} unexplained {min(left):.3f} to {max(left):.3f}, {len(left)} seeds"
    )

# %% [markdown]
# Without $W_O$, and with more parameters than the linear sliced reader that has one, training
# found nothing better than 1/2. But that is an observation: notebook 2 planted a blend from which
# such a reader gets both values.
#
# (One of the ten runs with a block-diagonal $W_O$ and a dense reader stands out. There is room
# for all answers, as in the other nine; a look-up that finds no head in training is an old
# acquaintance from notebook 2.)
#
# ### In a stack
#
# Two attention layers with residual connections, no feed-forward network, and a task that needs
# them to work together: 16 different tokens, then the 15 pairs of neighbours again in random
# order; the second token of each pair must be named. (It is the subject of
# [notebook 9](09_heads_are_not_layers.ipynb).) Here without $W_O$ the concatenated heads are added to
# the residual stream as they are. Recorded, 4 heads a layer, 10 seeds each:

# %%
stacks = without_w_o.recorded_stacks()
fig, alt = without_w_o.plot_stacks(stacks)
show(fig, alt=alt)

for steps in (without_w_o.STEPS, without_w_o.STEPS // 2):
    for with_w_o in (True, False):
        runs = without_w_o.select(stacks, layers=2, with_w_o=with_w_o, steps=steps)
        found = [run.accuracy for run in runs]
        print(
            f"2 layers {'with' if with_w_o else 'without':7} W_O, {steps} steps, "
            f"{runs[0].parameters:,} parameters: accuracy {min(found):.3f} to {max(found):.3f}"
        )

# %% [markdown]
# The stack without any $W_O$ solves it: the second layer's projections read all of the stream,
# and mix. So "without $W_O$ the heads could never work together" is false for a stack. (One layer
# alone does not solve the task at this size, though it has a $W_O$: it stays near what guessing
# among the tokens not yet named gives.) With half the training steps neither is done, and the
# stack with $W_O$ is further: what can be learned and how fast are two questions. That last
# comparison is one width, one learning rate and one task, and the stack with $W_O$ has more
# parameters: an observation, no law.
#
# One thing more that $W_O$ does in practice is to make the sizes free: a layer with h·d ≠ D needs
# it to get back to D.
#
# ## Norms: how much does a head write?
#
# To see how much a head contributes it is tempting to look at the norm of its output $z_i$.
#
# ### Predict

# %%
predict(
    "mixes-norm",
    "At some token head 0's output z has 10 times the norm of head 1's. Which head adds the longer "
    "vector to the token?",
    [
        "Head 0, by a factor of 10",
        "Head 0, but by another factor",
        "That cannot be told from z",
    ],
)

# %% [markdown]
# ### Run it
#
# Take the layer you trained above (dense $W_O$, sliced reader). Multiply head 0's $W_V$ by 10 and
# divide its rows of $W_O$ by 10; for head 2, the other way round. The factors cancel, so this is
# another set of weights for *the same function*.

# %%
needs("mixing.head_writes")
net = trained["dense", "sliced"]
versions = {"as trained": None, "rescaled 10, 1, 1/10": (10.0, 1.0, 0.1)}
z, parts = {}, {}
for name, factors in versions.items():
    z[name], w_o = writes.look_inside(net, factors)  # (B, h, T, d), (h·d, D)
    parts[name] = mixing.head_writes(z[name], w_o)  # (B, T, h, D)

before, after = (one.sum(2) for one in parts.values())
print(f"the layer's output changes by {((before - after).norm() / before.norm()).item():.0e}")
fig, alt = writes.plot_norms(z, parts)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("mixing.head_writes")
norms = {name: one.norm(dim=-1).mean((0, 2)) for name, one in z.items()}
outcome(
    "mixes-norm",
    2,
    "Head 0's z went from "
    f"{norms['as trained'][0]:.2f} to {norms['rescaled 10, 1, 1/10'][0]:.2f} and head 2's from "
    f"{norms['as trained'][2]:.2f} to {norms['rescaled 10, 1, 1/10'][2]:.2f}, and no token noticed. The "
    "norm of z depends on how a scale is divided between W_V and W_O; the norm of the write does not.",
)

# %% [markdown]
# The same holds for any invertible d × d matrix between $W_V$ and $W_O$: $z_i$ has no scale and
# no axes of its own. What the layer hands on is the write. (Kobayashi et al. 2020, arXiv
# 2004.10102, make the same point about attention weights: look at the norms of the vectors that
# are added, not at the weights alone.)
#
# Head by head and token by token, for one sequence:

# %%
needs("mixing.head_writes")
fig, alt = writes.plot_write_norms(parts["as trained"][0])
show(fig, alt=alt)

each = parts["as trained"].norm(dim=-1)  # (B, T, h)
print(f"sum of the heads' norms           {each.sum(-1).mean():.2f}   (all means over tokens)")
print(f"their sum, if at right angles     {each.norm(dim=-1).mean():.2f}")
print(f"norm of the output, the real sum  {parts['as trained'].sum(2).norm(dim=-1).mean():.2f}")

# %% [markdown]
# Still, a long write need not be an important one. Norms do not add up: compare the last line with
# the two above it. Writes that point the same way would give the first number, writes at right
# angles the second, and writes that cancel less than that, down to nothing. And what follows may
# not look in the direction that was written. Whether a head *matters* is a question about the model's
# loss, for [notebook 7](07_do_heads_have_jobs.ipynb).
#
# ## Break it: four ways to leave out head 1
#
# Three heads of 4, D = 12, six tokens. Yellow: the output is not zero there. As in notebook 3,
# this $W_O$ is made to be seen: **head 0 writes to coordinates 4 to 7, head 1 to 8 to 11, head 2
# to 0 to 3.** In each version somebody has left out "head 1".

# %%
needs("mixing.ablate_heads")
pictures = writes.ablation_pictures(mixing.ablate_heads)
fig, alt = splitting.plot_pictures(pictures, "coordinate of the output", "token")
show(fig, alt=alt)

# %% [markdown]
# Which is which? The cells with the quizzes are folded, since they hold the answers: select one
# and run it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "coordinates 4 to 7 of the output set to zero",
    "index 1 of the wrong dimension set to zero",
    "the heads that stay joined without a gap, and W_O cut to fit",
    "none: this one is right",
]
quiz(
    "mixes-picture-a",
    "Picture A?",
    mistakes,
    answer=2,
    because="Head 2 moved up into the place of head 1 and went through head 1's rows, so it arrives at 8 to "
    "11, and its own place stays empty. The shapes fit. When heads are really pruned, their rows of W_O "
    "must go with them.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="In the concatenation 4 to 7 are head 1's columns. In the output they are what head 0 wrote: "
    "behind W_O no coordinate belongs to a head. With a dense W_O the picture would look the same, and "
    "every head would have lost a third of its coordinates.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-picture-c",
    "Picture C?",
    mistakes,
    answer=3,
    because="Head 1's coordinates, 8 to 11, are empty; the other two heads are untouched.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-picture-d",
    "Picture D?",
    mistakes,
    answer=1,
    because="`[:, :, 1]` in (B, h, T, d) is token 1 of every head, not head 1.",
)

# %% [markdown]
# ## Write it down
#
# A classmate notes: "$W_O$ is where the heads interact. Without it, multi-head attention would be
# $h$ separate little models whose findings never meet."
#
# Say in about six sentences what is right in this, what is wrong, and which measurement of this
# notebook supports each of your statements.
#
# | 3 points | |
# |---|---|
# | 1 | says what W_O does as a formula or in words (a sum of writes), and what can therefore not happen in it, with a measurement |
# | 1 | says what is exact about the absence of W_O within a layer, with a measurement |
# | 1 | says what happens to the claim when something dense follows, with a measurement, and where interaction comes from |

# %% [markdown] nbgrader={"grade": true, "grade_id": "mixes-note", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# W_O multiplies each head's output by d rows of its own and adds the results up, so the layer's
# output is the sum of the heads' writes: the two computations agreed to rounding, and better in
# 64 bit. In such a sum no head changes what another contributes: leaving out two heads changed
# the output by exactly the sum of the single changes. So "interact" is too strong; W_O
# superposes.
#
# Right is that within the layer, without W_O, head i can only write to its own d coordinates, as
# the map of writes shows. A reader that sees just one slice then gets one blend, and half of the
# variance of two answers stayed unexplained on every seed, while with a dense W_O next to nothing
# did. (A block-diagonal W_O did not help.)
#
# Wrong is "never meet": a dense linear reader trained without W_O left next to nothing, since W_O
# can be folded into it, and two layers without any W_O solved the task with pairs. Real
# interaction showed behind the layer: joint ablations differed from the sum of the single ones
# behind layer norm, the feed-forward network and the next attention layer.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded. `hidden_size` is D, `head_dim` is d.

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-card-1",
    "Gemma-7B: hidden size 3072, 16 heads, head_dim 256. What is the shape of `output_slices(w_o, 16)`?",
    ["(16, 192, 3072)", "(16, 256, 3072)", "(16, 3072, 256)", "(16, 256, 4096)"],
    answer=1,
    because="W_O is (16 · 256, 3072) = (4096, 3072), and each head has 256 of its rows. Here the layer could "
    "not do without W_O: 4096 numbers side by side do not fit into a stream of 3072. Source: LitGPT's table "
    "of named checkpoints, and the default of the configuration class in transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-card-2",
    "Falcon-7B: hidden size 4544, 71 heads, head_dim 64. In how many directions, at most, can one of its heads "
    "write?",
    ["1", "64", "71", "4544"],
    answer=1,
    because="The rank of a slice is at most d = 64, one part in 71 of 4544 dimensions. Source: LitGPT's table of "
    "named checkpoints, and the configuration class in transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "mixes-card-3",
    "Qwen3-30B-A3B: hidden size 2048, 32 heads, head_dim 128. Could each head of a layer write in 128 directions "
    "that no combination of the other heads reaches?",
    [
        "Yes: that is what 32 different slices are for",
        "Yes, but only if W_O is block-diagonal",
        "No: 32 · 128 = 4096 directions do not fit into 2048 dimensions",
    ],
    answer=2,
    because="At most 2048 directions can be independent. If all slices have full rank, the heads must share "
    "directions, and their writes add up there. Source: LitGPT's table of named checkpoints.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("mixes")

# %% [markdown]
# ## What's next
#
# What is certain now: the layer is a sum of heads; each writes in at most d directions, which
# $W_O$ chooses; what several heads found meets there, and interacts in what follows. With d
# directions a head, more heads mean fewer directions each: [notebook 6](06_how_many_heads.ipynb)
# asks how many heads are enough. (The sizes themselves were the subject of [notebook
# 4](04_twelve_heads_of_64.ipynb).) Run `progress()` in [notebook 0](00_start_here.ipynb) to see
# where you stand.
