# ---
# jupyter:
#   core_idea:
#     says: >-
#       The head count is a partition of the width and not free capacity: more heads are more
#       look-ups, each of lower rank; practice settles on heads 64 or 128 wide.
#     explained: "Cutting, not adding"
#     measured: "Measure: one width, twelve partitions"
#     drawn: "Where 8, 12, 16 and 32 come from"
# ---

# %% [markdown]
# # 6 · How many heads?
#
# **If every head is one more look-up, why not have a hundred of them?**
#
# *About 60 minutes.* A layer has a width, and its heads share it out. You measure what a head of
# width d can compare, train readers whose 96 columns are cut into 1 to 96 heads, and find out where
# the usual numbers come from. Two functions:
#
# | function | what it does |
# |---|---|
# | `head_scores_rank` | measures the rank of each head's score matrix $W_Q W_K^T$ |
# | `head_count_options` | lists the head counts that give heads of a usual width |
#
# You write them in **[`mha_lib/partition.py`](../mha_lib/partition.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import SelectionSlider

from attention_lab import partitions
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import explore_readers, follow
from autograde import check, needs
from mha_lib import attention, partition, single

# %% [markdown]
# ## Predict
#
# The task of notebook 2: every token asks for the values of m = 4 others, by name. A name is a
# vector of 12 numbers, drawn anew in every sequence. The reader has a total width of h·d = 96 and
# a linear read-out. With 1 head it leaves 3/4 of the variance unexplained, with 2 heads half.

# %%
predict(
    "how-many-curve",
    "We go on: 4, 8, 16, 32, 96 heads, the width 96 and the number of parameters always the same. "
    "What does the unexplained share do?",
    [
        "It falls with every head more, up to 96",
        "It falls until there is a head for each look-up, then stays where it is",
        "It falls, and later rises again",
        "It hardly changes: the parameters are the same",
    ],
)

# %% [markdown]
# ## Cutting, not adding
#
# Here are the 96 columns of $W_Q$, cut in six ways. $W_K$ and $W_V$ are cut alike.

# %%
fig, alt = partitions.plot_slices()
show(fig, alt=alt)

# %% [markdown]
# All bars have the same length: (D, 96) holds the same number of parameters whether its columns
# belong to one head or to 96. **The head count is a partition of the width.** More heads means
# narrower heads: d = 96 / h. (Adding columns, so that h·d grows, is possible too, and costs
# parameters. We come to it. What grows with h in any case is the number of attention weights, h·T·T
# for each sequence.)
#
# So what does a narrow head lose? The score between the tokens s and t in head $i$ is
#
# $$\text{score}_i(s, t) \propto (x_s W_{Q,i})(x_t W_{K,i})^T
# = x_s \, \underbrace{W_{Q,i} W_{K,i}^T}_{M_i,\ (D,\,D)} \, x_t^T$$
#
# All that a head can compare stands in one matrix $M_i$, the **score matrix** of the head: its
# entry (a, b) says how much coordinate a of the asking token counts together with coordinate b of
# the other. It has D·D entries, but they are not free: $M_i$ is a product of a (D, d) and a (d, D)
# matrix, so its **rank** is d at most. The rank counts how many independent comparisons the head
# makes: rank 1 means that one number of the asker is multiplied with one number of the other token.
# Bhojanapalli et al. (2020, arXiv 2002.07028) call this the *low-rank bottleneck*.
#
# ## Build 1: head_scores_rank
#
# **By hand**: D = 3, two heads of d = 2.
#
# $$W_Q = \left(\begin{array}{cc|cc} 1 & 0 & 1 & 0 \\ 0 & 1 & 0 & 1 \\ 0 & 0 & 0 & 0
# \end{array}\right) \qquad
# W_K = \left(\begin{array}{cc|cc} 1 & 0 & 1 & 1 \\ 0 & 0 & 1 & 1 \\ 0 & 1 & 0 & 0
# \end{array}\right)$$
#
# $$M_0 = \begin{pmatrix} 1 & 0 & 0 \\ 0 & 0 & 1 \\ 0 & 0 & 0 \end{pmatrix} \qquad
# M_1 = \begin{pmatrix} 1 & 1 & 0 \\ 1 & 1 & 0 \\ 0 & 0 & 0 \end{pmatrix}$$
#
# $M_0$ has two independent rows: rank 2. In $M_1$ the rows are equal: rank 1, although the head is
# 2 wide and the columns of its $W_Q$ are independent. Its keys hold the same number twice, so the
# second column adds nothing. The answer is `[2, 1]`: the width is a bound, the rank is measured.
#
# On a computer hardly any number is exactly 0. The rank is found from the *singular values*: a
# matrix of rank r has r of them that count, and the rest is rounding noise.
# `torch.linalg.matrix_rank` counts those above a limit that follows from the precision.
#
# **Write `head_scores_rank` in [`mha_lib/partition.py`](../mha_lib/partition.py).**
#
# [hints: partition.head_scores_rank]

# %% nbgrader={"grade": true, "grade_id": "partition-head_scores_rank"}
check("partition.head_scores_rank")

# %% [markdown]
# Your function on a layer with random weights, D = 96, cut in five ways; and, in the last line, a
# layer whose heads are wider than the tokens:

# %%
needs("partition.head_scores_rank")
generator = torch.Generator().manual_seed(0)
for num_heads, width in ((1, 96), (4, 96), (12, 96), (48, 96), (96, 96), (2, 256)):
    w_q, w_k = (torch.randn(96, width, generator=generator) for _ in range(2))
    ranks = partition.head_scores_rank(w_q, w_k, num_heads)
    each = " or ".join(str(rank) for rank in sorted(set(ranks)))
    print(
        f"h = {num_heads:2}, d = {width // num_heads:3}: rank {each:>2} a head, {sum(ranks)} in all"
    )

# %% [markdown]
# Rank is shared out with the columns: many heads with few comparisons each, or few heads with many.
# Beyond D there is nothing to win: tokens of D numbers cannot be compared in more than D ways.
#
# ## Measure: one width, twelve partitions
#
# Now the reader of notebook 2, trained at three head counts, with your `independent_heads`. It takes
# some seconds a reader; stop it whenever you like (Kernel > Interrupt), and what there is so far is
# kept. Other seeds and longer training are one argument away: `seed=7`, `steps=3000`.

# %%
needs("single.independent_heads")
live = partitions.train_several((2, 8, 16), heads=single.independent_heads, seed=100)

# %% [markdown]
# One training proves little. Recorded are 10 seeds for each of the twelve divisors of 96 (600 steps, at
# a learning rate of 0.01; the curve of notebook 2 was trained at 0.003).
# `python -m attention_lab.partitions record` repeats them (about 20 minutes, with the controls
# below), and `python -m attention_lab.partitions run --heads 48 --seed 5` makes one.

# %%
needs("single.independent_heads", "single.unexplained_floor")
recorded = partitions.recorded_runs()
curve = partitions.the_curve(recorded)
fig, alt = partitions.plot_curve([one.run for one in live], recorded, single.unexplained_floor)
show(fig, alt=alt)
print(partitions.summary(curve))

# %% jupyter={"source_hidden": true}
recorded = partitions.recorded_runs()
curve = partitions.the_curve(recorded)
medians = {h: partitions.median(partitions.select(curve, num_heads=h)) for h in (2, 8, 16, 96)}
outcome(
    "how-many-curve",
    2,
    f"Medians over 10 seeds: {medians[2]:.3f} with 2 heads, {medians[8]:.4f} with 8, "
    f"{medians[16]:.3f} with 16, {medians[96]:.3f} with 96. All {len(curve)} readers have "
    f"{curve[0].parameters} parameters.",
)

# %% [markdown]
# Two different things limit the two arms.
#
# - **Left arm: too few look-ups.** h blends of m values leave 1 - h/m. This is the proof of notebook
#   2, and the points lie on it.
# - **Right arm: too little in each.** It begins where a head gets narrower than a name, at d < 12.
#   The left panel hardly shows the beginning, the logarithmic one does.
#
# In between lies a wide stretch on which the head count matters little. Move along it:

# %%
follow(
    partial(partitions.plot_cut, partitions.recorded_runs()),
    num_heads=SelectionSlider(options=partitions.HEAD_COUNTS, value=8, description="heads"),
)

# %% [markdown]
# ## Look inside: what did the heads use?
#
# Does a head use all the columns it gets? The trained readers can be asked. Your function gives the
# rank of every head, and a picture shows the singular values of each $M_i$.
#
# ### Predict

# %%
predict(
    "how-many-used",
    "With 2 heads, a head is 48 columns wide. A name has 12 numbers, and names lie in all directions. "
    "After training, how many of a head's 48 singular values are large (above a fifth of the "
    "largest)?",
    [
        "All 48: training uses what it gets",
        "24: the head does two of the four look-ups",
        "About 12: as many as a name has numbers",
        "About 4: one for each look-up",
    ],
)

# %%
needs("single.independent_heads", "partition.head_scores_rank")
for run, reader in live:
    ranks = partition.head_scores_rank(*partitions.side_by_side(reader))
    large = (partitions.relative_spectra(reader) > 0.2).sum(1).tolist()
    print(
        f"h = {run.num_heads:2}: rank {min(ranks)} to {max(ranks)}, "
        f"of them large {min(large)} to {max(large)}"
    )

fig, alt = partitions.plot_spectra(live)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("single.independent_heads")
large = (partitions.relative_spectra(live[0].reader) > 0.2).sum(1).tolist()
outcome(
    "how-many-used",
    2,
    f"In the first reader of your run (h = {live[0].run.num_heads}): {large} large ones, head by "
    "head. The rank alone would not have told: small singular values count in it as well.",
)

# %% [markdown]
# So this is how we know what the task needs. A head of 48 columns compares names in 12 directions and
# leaves the others nearly empty. A head of 12 has just enough. A head of 6 must be content with six
# directions, and uses all of them. In this task, then, **heads wider than 12 have columns of $W_Q$ and
# $W_K$ to spare, and narrower ones lack some.** In a language model nobody knows this number
# beforehand.

# %% [markdown]
# ### Try it: the readers' heads
#
# The readers you trained, on one sequence, with your `independent_heads`. `C:JEDA` is the token named
# C, which asks for J, E, D and A, in this order. The slider goes from reader to reader: the same
# width, cut into other numbers of heads. A head is marked with the look-up that gets most of its
# weight. Which look-ups have no head in the first reader, and which have several in the last?

# %%
needs("single.independent_heads")
explore_readers(live)

# %% [markdown]
# ## Is it really the keys?
#
# When h grows, *two* widths shrink: that of queries and keys ($d_k$), and that of values ($d_v$).
# The right arm does not say which one hurts. So, more readers, 10 seeds each:
#
# - 4 heads with values 24 wide, and $d_k$ alone goes from 1 to 24;
# - 32 heads with values 3 wide as before, but queries and keys 12 wide. This adds columns, so this
#   reader has more parameters;
# - 32 and 96 heads as before, trained three times as long.
#
# ### Predict

# %%
predict(
    "how-many-keys",
    "32 heads, values still only 3 numbers wide, queries and keys widened from 3 to 12. What happens "
    "to the unexplained share?",
    [
        "Nothing much: the narrow values are the bottleneck",
        "It falls by about half: both are",
        "It falls nearly to 0: the narrow keys were the bottleneck",
    ],
)

# %%
recorded = partitions.recorded_runs()
fig, alt = partitions.plot_controls(recorded)
show(fig, alt=alt)

usual, longer, wide_keys = (
    partitions.select(recorded, num_heads=32, **which)
    for which in (
        {"key_width": 3, "planned": partitions.STEPS},
        {"key_width": 3, "planned": partitions.LONGER},
        {"key_width": 12},
    )
)
most = partitions.select(recorded, num_heads=96)
print(partitions.summary([*partitions.narrow_keys(recorded), *usual, *longer, *wide_keys, *most]))

# %% jupyter={"source_hidden": true}
outcome(
    "how-many-keys",
    2,
    f"Median {partitions.median(usual):.4f} with keys of 3, {partitions.median(wide_keys):.4f} with "
    "keys of 12. A value of this task has 3 numbers, so values 3 wide were enough.",
)

# %% [markdown]
# How to read it:
#
# - In this task it is the keys. The curve on the left has no other cause: heads, values and read-out
#   are the same throughout. Its parameters grow with $d_k$, though; but 32 heads with narrow keys
#   have *more* parameters than 4 heads with $d_k$ = 8 (look at the table), and leave more.
# - Narrow heads help each other: 32 heads with $d_k$ = 3 leave much less than 4 heads with
#   $d_k$ = 3. Each can compare names in three directions of its own, and the read-out adds up their
#   blends. So a narrow head is no dead head, and "$d_k$ must be at least so much" would be too strong.
# - Longer training makes the right arm lower; in these runs it does not make it vanish.
#
# A task with wide values and simple names would put the blame on $d_v$. What carries over is not the
# number 12, but the question: *how much must one look-up compare, and how much must it carry?*
#
# ## Low rank, said exactly
#
# How bad is a small rank? One often hears that a head with $d_k$ smaller than the number of tokens
# "cannot attend anywhere it likes". Test this before you repeat it.
#
# ### Predict

# %%
predict(
    "how-many-permutation",
    "16 tokens, d_k = 2. Every token shall put nearly all of its weight on one other token, no two on "
    "the same: a permutation. Queries and keys may be placed freely. Which permutations are possible?",
    [
        "None: it takes 15 or 16 dimensions",
        "A few, such as “the token before”",
        "All of them",
    ],
)

# %% [markdown]
# First, fitting. Take patterns of 16 × 16 weights and find the best queries and keys of width $d_k$
# for them, by gradient descent. There are two families, 8 patterns each: permutations, and random
# mixtures (softmax of N(0, 3²)). What is missed is given as the share of the weight on wrong keys.
#
# Then, by construction: put the 16 keys on a circle, and let every query point at its key. All
# weights come from your own `scaled_dot_product_attention`.

# %%
needs("attention.scaled_dot_product_attention")
families = {
    "random mixtures": partitions.random_patterns(),
    "permutations": partitions.permutations(),
}
missed = {name: {} for name in families}
for key_width in (1, 2, 3, 4, 8, 15):
    fitted = partitions.fit_patterns(torch.cat([*families.values()]), key_width)
    for name, part in zip(families, fitted.chunk(2), strict=True):
        missed[name][key_width] = part

radii, on_circle = torch.logspace(0, 2.5, 60), {}
for n in (16, 64, 256):
    order = partitions.permutations(1, n)[0].argmax(-1)  # query i wants key order[i]
    seen = []
    for radius in radii:
        q, k = partitions.circle(order, radius)
        _, weights = attention.scaled_dot_product_attention(q, k, k)
        seen.append(weights[0, torch.arange(n), order].mean().item())
    on_circle[n] = seen

fig, alt = partitions.plot_low_rank(missed, radii, on_circle)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("attention.scaled_dot_product_attention")
two = missed["permutations"][2].mean().item()
mixed = missed["random mixtures"][2].mean().item()
outcome(
    "how-many-permutation",
    2,
    f"Fitted with d_k = 2, permutations miss {two:.3f} of the weight, random mixtures {mixed:.3f}. On "
    f"a circle of radius {radii[-1]:.0f} the right one of 16 keys gets {on_circle[16][-1]:.3f}, for "
    "any permutation: turning a query to another key changes nothing else.",
)

# %% [markdown]
# So two dimensions are enough for the sharpest patterns there are. The price is **length**: on a
# circle of n keys the neighbour's score is only $r^2 (1 - \cos(2\pi/n)) / \sqrt 2$ lower, and
# this gap shrinks like $1/n^2$. Four times the keys need about four times the radius.
#
# What two dimensions do not give is an arbitrary *mixture*. Here the exact statement is short.
# Let A be a pattern without zeros. softmax(S) = A holds if and only if S is log A plus some constant
# for each row. Of all these S, the one whose rows have mean 0 has the smallest rank, since it comes
# from each of the others by one matrix product. So **the least $d_k$ that gives a pattern A exactly is
# the rank of its row-centred logarithm**, n - 1 at most:

# %%
print("least d_k of the random mixtures:")
print([partitions.least_key_width(pattern) for pattern in partitions.random_patterns()])

# %% [markdown]
# How does this go with the right arm above, where $d_k$ = 2 was bad at sharp look-ups? On the circle
# we *knew* the 16 tokens and put each of them where we liked. A head cannot: it has one matrix for
# queries and one for keys, and must compare names that it has never seen. Of a name of 12 numbers, a
# linear map to 2 numbers keeps 2. The bottleneck is not the number of tokens in the sequence, it is
# **what must be told apart, through one fixed linear map**.
#
# ## Build 2: head_count_options
#
# Practice often turns the question round: choose a width of a head that is known to work, such as
# **64 or 128**, and get
#
# $$h = D / d$$
#
# **By hand**: D = 768. 768 / 64 = 12 and 768 / 128 = 6, so the options are `[6, 12]`. D = 576:
# 576 / 64 = 9, but 576 / 128 = 4.5 is no partition, so `[9]`. D = 1000: neither, so `[]`.
#
# **Write `head_count_options` in [`mha_lib/partition.py`](../mha_lib/partition.py).**
#
# [hints: partition.head_count_options]

# %% nbgrader={"grade": true, "grade_id": "partition-head_count_options"}
check("partition.head_count_options")

# %% [markdown]
# ## Where 8, 12, 16 and 32 come from
#
# Your function on the widths that models like to have:

# %%
needs("partition.head_count_options")
for d_model in (512, 768, 1024, 2048, 4096):
    print(f"D = {d_model:4}: h = {partition.head_count_options(d_model)}")

# %% [markdown]
# And on published models. Blue: heads 64 or 128 wide that fill D exactly.

# %%
needs("partition.head_count_options")
fig, alt = partitions.plot_cards(partition.head_count_options)
show(fig, alt=alt)

for card in partitions.CARDS:
    if not partitions.usual(card, partition.head_count_options):
        product = card.num_heads * card.head_dim
        relation = "=" if product == card.d_model else "is not"
        print(
            f"{card.name:12} {card.num_heads:3} heads of {card.head_dim:3}: {product} {relation} "
            f"D = {card.d_model}\n    ({card.source})"
        )

# %% [markdown]
# The cards were chosen to show the exceptions, so do not read a percentage off the picture. What it
# shows:
#
# - From GPT-2 to Llama-3.1-405B the width grows 21-fold. The heads stay 64 or 128 wide, and their
#   *number* grows.
# - **Falcon-7B's 71 heads** look odd and are not: 71 · 64 = 4544 is its width. The odd number is D.
# - **GPT-J and the three Gemma models**: heads 256 wide. **GPT-NeoX** 96, **phi-2** 80: neither 64 nor
#   128, and the models are in use.
# - **mT5-small, Qwen3-0.6B, Gemma-7B, Gemma-3-1B**: h·d is not D. Then the layer has fewer or more
#   columns than D, and $W_O$ brings them back. Head width and head count are two choices here, which
#   is what Bhojanapalli et al. (2020) argue for: choose the head size on its own, not as D / h.
#
# ### Why 64 or 128?
#
# There is no theorem with this number in it. Two reasons that can be checked:
#
# **Fast code exists for them.** The FlashAttention part of vLLM 0.10.0, for instance, takes head
# sizes of 32, 64, 96, 128, 160, 192, 224 and 256 (its documentation), and no others.
#
# **They are about wide enough to tell many keys apart without long vectors.** An estimate: n random
# keys with entries of variance 1, which is what normalised tokens and weights of variance 1/D give;
# each token looks for itself. The right score is about $d / \sqrt d = \sqrt d$, the others are
# N(0, 1). So the own key stands out when $e^{\sqrt d}$ is larger than n, roughly. Measured, with
# your own attention:

# %%
needs("attention.scaled_dot_product_attention")
widths = [4, 8, 16, 32, 64, 128, 256]
found = {
    n: partitions.own_key_weights(attention.scaled_dot_product_attention, widths, n)
    for n in (64, 1024, 16384)
}
fig, alt = partitions.plot_own_key(widths, found)
show(fig, alt=alt)

# %% [markdown]
# With a thousand keys the steep part lies around 64. This is an estimate, no more: real keys are not
# random, and training can make vectors longer, as on the circle.
#
# ## What the literature says, both sides
#
# | | finding | source |
# |---|---|---|
# | for a best number | at constant computation one head was 0.9 BLEU worse than the best setting, and quality also dropped with too many heads; a smaller $d_k$ alone hurt too | Vaswani et al. 2017, section 6.2, table 3, rows A and B |
# | against narrow heads | d = D / h makes heads a low-rank bottleneck; the head size should not depend on h | Bhojanapalli et al. 2020, abstract |
# | heads overlap | trained heads have redundant key and query projections; sharing them makes these 4 times smaller at equal accuracy | Cordonnier et al. 2020, arXiv 2006.16362, abstract |
# | many are not needed | at test time a large share of trained heads can be removed, in some layers all but one; encoder-decoder attention depends more on several heads | Michel et al. 2019, arXiv 1905.10650, abstract |
# | many are not needed | 38 of 48 encoder heads pruned at a cost of 0.15 BLEU (English to Russian); specialised heads went last | Voita et al. 2019, arXiv 1905.09418, abstract |
# | it matters little | at a fixed number of parameters the loss depends only weakly on the shape, head count included | Kaplan et al. 2020, arXiv 2001.08361, section 3.1 |
#
# This is less of a contradiction than it looks. The curve has a wide bottom: on it the head count
# matters little, at its ends it does. And *removing* heads after training is another question than
# *training without* them: in notebook 2 spare heads were not needed by the finished reader, and yet
# all look-ups were found more often with them. What nobody can tell you is where the ends of the
# curve lie for your data; that has to be measured.
#
# ## Break it: which mistake made which picture?
#
# Three heads, made by hand. A token is [name | q0 | q1 | q2], a name and three questions of 3 numbers
# each. Head i shall compare question i with the name, in d = 4 columns, one of which stays empty. The
# pictures show the score matrices $M_i$, yellow = 1; four versions from left to right, head 0 to 2
# from top to bottom. One is right.

# %%
pictures = partitions.score_pictures()
fig, alt = partitions.plot_scores(pictures)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
mistakes = [
    "not cut: every head uses all columns",
    "the columns were dealt out in turn, every third to the same head",
    "queries and keys changed places",
    "none: this one is right",
]
quiz(
    "how-many-picture-a",
    "Picture A?",
    mistakes,
    answer=2,
    because="The yellow block stands in row “name”, column q0: the asker's name is compared with the "
    "other token's question. Who asks and who answers changed places; the rank cannot tell.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="Every head asks all three questions at once: three times one and the same head. The rank "
    "is still 3, because all questions are compared with the same three numbers of a name.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-picture-c",
    "Picture C?",
    mistakes,
    answer=1,
    because="Every head got bits of all questions, one number of a name for each. The sum over the heads "
    "is right, and no head can look anything up.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-picture-d",
    "Picture D?",
    mistakes,
    answer=3,
    because="Row q0, q1, q2; column “name”; rank 3 in 4 columns. The empty column costs parameters and "
    "adds no rank.",
)

# %% [markdown]
# ## Write it down
#
# A colleague wants to turn GPT-2's 12 heads of 64 into 96 heads of 8: "Eight times as many
# perspectives, and not one parameter more."
#
# Answer in about six sentences.
#
# | 3 points | |
# |---|---|
# | 1 | says what stays the same and what each head loses, with the rank of its score matrix |
# | 1 | supports it with both arms of the curve: what each comes from, with a number measured here |
# | 1 | says what the notebook does *not* show: a reason why "8 is too narrow" may be wrong for that model, and how to find out |

# %% [markdown] nbgrader={"grade": true, "grade_id": "how-many-why-not-96", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# Right about the parameters: W_Q, W_K and W_V keep 768 columns, they are only cut in other places. But
# each head gets 8 columns instead of 64, so its score matrix W_Q W_K^T has rank 8 at most: it compares
# tokens in 8 directions, and hands over 8 numbers.
#
# In this notebook both too few and too many heads hurt at equal parameters. With fewer heads than
# look-ups the share 1 - h/m stays unexplained (0.50 with 2 heads for 4 look-ups), because each head gives
# one blend. From d < 12 on, the width of a name, it rises again (a share near 0 with 8 heads, nearly a
# half with 96); widening the keys alone of 32 heads brought it back to almost 0, so there it was d_k.
#
# That does not prove that 8 is too narrow for GPT-2. The 12 belongs to our task; several narrow heads
# can add up (32 heads with d_k = 3 left far less than 4 heads with d_k = 3); and d_k = 2 is enough for
# any permutation if vectors are long. Find out by training both at equal size, over several seeds, and
# for a third time with 96 heads of 64 to see whether the width or the number matters.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-card-1",
    "Qwen2.5-0.5B: hidden size 896, 14 heads that fill it exactly. What would 16 heads have meant?",
    [
        "Nothing: 16 does not divide 896",
        "Heads 56 wide instead of 64, and the same number of parameters in W_Q",
        "Heads 64 wide as now, and more look-ups at the same number of parameters",
        "One seventh more parameters in W_Q",
    ],
    answer=1,
    because="16 · 56 = 896 is a partition too, of the same columns. `head_count_options(896)` gives [7, "
    "14]: the 14 heads are 64 wide. Heads of 64 and 16 of them would need h·d = 1024. Source: LitGPT's "
    "table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-card-2",
    "Gemma-7B: hidden size 3072, 16 heads, head_dim 256. What is the largest rank that the score matrix "
    "of one of its heads can have?",
    ["192", "256", "3072", "4096"],
    answer=1,
    because="The head is 256 wide, whatever 3072 / 16 is: here h·d = 4096. D = 3072 would be the bound only "
    "for heads wider than that. Source: LitGPT's table, and the configuration class in transformers "
    "5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "how-many-card-3",
    "Llama-3.2-1B: hidden size 2048, 32 heads. Llama-3.1-405B: hidden size 16384, 128 heads. The width "
    "grows 8-fold, the heads 4-fold. What happened to the width of a head?",
    [
        "It stayed the same",
        "It doubled, from 64 to 128",
        "It grew 8-fold, from 64 to 512",
        "It halved",
    ],
    answer=1,
    because="2048 / 32 = 64 and 16384 / 128 = 128: the two usual widths, in a small and a very large model. "
    "Source: LitGPT's table of named checkpoints.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("how-many-")

# %% [markdown]
# ## What to keep
#
# - The head count is a **partition**: h·d columns are cut, not added. Parameters do not change, and rank
#   is shared out: each head's $W_Q W_K^T$ has rank d at most.
# - **Proven**: with blind weights and a linear read-out, too few heads leave 1 - h/m. The least $d_k$ for
#   an exact pattern is the rank of its row-centred logarithm; 2 and long vectors come as near to any
#   permutation as you like.
# - **Measured here**: at equal parameters the error falls, stays low, and rises once heads are narrower
#   than what they compare; in this task because of $d_k$. The bottom of the curve is wide.
# - **Practice**: take d = 64 or 128, and h follows from D. It is a habit with reasons, not a law; some
#   good models do otherwise.
#
# How many heads is one question, what they do another: [notebook 7](07_do_heads_have_jobs.ipynb) looks
# at the 72 heads of a real model. Run `progress()` in [notebook 0](00_start_here.ipynb) to see where you stand.
