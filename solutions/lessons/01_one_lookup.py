# ---
# jupyter:
#   core_idea:
#     says: >-
#       Attention is a soft look-up: compare a query with all keys, turn the scores into weights
#       that sum to 1, return the blend of the values; dividing by √d keeps the softmax from
#       saturating.
#     explained: "A dictionary that answers softly"
#     measured: "Measure: why divide by √d?"
#     drawn: "The sentence looks itself up"
# ---

# %% [markdown]
# # 1 · One look-up
#
# **How does a token look something up in a sentence, and why are the scores divided by $\sqrt d$?**
#
# *About 55 minutes.* You build the one operation on which the rest of the course stands: scaled
# dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1), in four functions:
#
# | function | what it does |
# |---|---|
# | `softmax` | turns scores into weights that sum to 1, without overflow |
# | `causal_mask` | hides the future |
# | `padding_mask` | hides the padding |
# | `scaled_dot_product_attention` | compares, weighs, blends |
#
# You write them in **[`mha_lib/attention.py`](../mha_lib/attention.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
import torch
import torch.nn.functional as F

from attention_lab import lookup
from attention_lab.figures import heat_map, new_figure, show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from autograde import check, needs
from mha_lib import attention

# %% [markdown]
# ## A dictionary that answers softly
#
# A Python dictionary compares your query with its keys. It wants an exact match, returns one value
# and gives up otherwise:

# %%
holds = {"cat": "alive", "milk": "drinkable"}
print(holds["cat"], "|", holds.get("tea", "no such key"))

# %% [markdown]
# Attention is a soft version of this. Every token has three vectors:
#
# - a **query** $q$: what the token is looking for, $d$ numbers;
# - a **key** $k$: what it offers to be found by, $d$ numbers as well, to be comparable;
# - a **value** $v$: what it hands over when found, $d_v$ numbers.
#
# A query is compared with *all* keys, by dot product. The results, the **scores**, become weights
# that are positive and sum to 1, and the answer is the weighted mean of *all* values.
#
# In a trained model the three vectors come from learned matrices (notebook 2). Here they were
# written by hand, in `attention_lab/lookup.py`, so that every number can be understood:

# %%
sentence = lookup.readable_sentence()
tokens, q, k, v = sentence  # q (T, d), k (T, d), v (T, d_v)

fig, alt = lookup.plot_tables(sentence)
show(fig, alt=alt)

# %% [markdown]
# "it" looks for a being. Its query against all keys, by hand for two of them:
#
# - "cat": $8 \cdot 1 + 0 \cdot 0 + 0 \cdot 0 + 0 \cdot 0 = 8$
# - "milk": $8 \cdot 0 + 0 \cdot 1 + 0 \cdot 0 + 0 \cdot 0 = 0$

# %%
scores_of_it = k @ q[tokens.index("it")]  # (T, d) @ (d) -> (T)
for token, score in zip(tokens, scores_of_it.tolist(), strict=True):
    print(f"{token:>8} {score:.0f}")

# %% [markdown]
# ### Predict
#
# Two questions before you build anything. Predictions are recorded for you and not graded; we come
# back to them at the end.

# %%
predict(
    "one-lookup-two-matches",
    "'drank' asks for a being and for a thing. 'cat' and 'milk' match equally well. What comes "
    "back?",
    [
        "The value of 'cat': the first match wins",
        "Either value, by chance",
        "One blend of both values, about half and half",
        "Two values, one after the other",
    ],
)

# %%
predict(
    "one-lookup-no-match",
    "Now tokens may look only at themselves and backwards. 'cat' asks for an action, but sees only "
    "'the' and 'cat', and neither offers one. What are its two weights?",
    ["0 and 0", "½ and ½", "0 and 1: it falls back on itself", "NaN: nothing to divide by"],
)

# %% [markdown]
# ## Build 1: softmax
#
# Scores may be any number; weights must be positive and sum to 1:
#
# $$\mathrm{softmax}(s)_j = \frac{e^{s_j}}{\sum_k e^{s_k}}$$
#
# **By hand.** For $s = (0, \ln 3)$ the exponentials are $(1, 3)$, their sum is 4, and the weights
# are $(0.25,\ 0.75)$. Now add 10 to both scores: both exponentials grow by the same factor
# $e^{10}$, which cancels. *The weights do not change when all scores of a row are shifted by the
# same constant.*
#
# That is more than a curiosity. The formula, typed in as it stands, breaks in 32-bit floating
# point:

# %%
for scores in ([0.0, 1.0], [0.0, 80.0], [0.0, 89.0], [-200.0, -201.0]):
    exps = torch.tensor(scores).exp()
    print(f"scores {scores}: exponentials {exps.tolist()}, weights {(exps / exps.sum()).tolist()}")
print(f"largest float32: {torch.finfo(torch.float32).max:.3g}")

# %% [markdown]
# $e^{89}$ is larger than the largest 32-bit number, becomes `inf`, and `inf / inf` is `nan`. At the
# other end all exponentials become 0, and `0 / 0` is `nan` too. One shift per row cures both
# (Goodfellow, Bengio & Courville 2016, section 4.1).
#
# **Write `softmax` in [`mha_lib/attention.py`](../mha_lib/attention.py).**
#
# [hints: attention.softmax]

# %% nbgrader={"grade": true, "grade_id": "attention-softmax"}
check("attention.softmax")

# %%
needs("attention.softmax")
scores = torch.tensor([0.0, 1.0, 3.0])
for shift in (0, 100, 10_000):
    weights = attention.softmax(scores + shift)
    print(f"shift {shift:>6}: {weights.numpy().round(4)}  sum {weights.sum():.4f}")

# %% [markdown]
# Softmax never says "nothing found": whatever the scores are, the weights sum to 1. Keep this in
# mind for the token that finds no match.
#
# ## Build 2: a causal mask
#
# A language model predicts the next token, so while it learns no token may look at what comes
# later. A **mask** says who may look at whom: a boolean matrix, row $i$ the query, column $j$ the
# key, **`True` = may attend**. For the causal mask that is $j \le i$.
#
# **By hand**, for $T = 3$: the first token sees itself, the second sees two, the third sees all.
#
# | | key 0 | key 1 | key 2 |
# |---|---|---|---|
# | query 0 | True | False | False |
# | query 1 | True | True | False |
# | query 2 | True | True | True |
#
# Beware of the other convention. `True` = may attend is what PyTorch's
# `F.scaled_dot_product_attention` expects; in `nn.MultiheadAttention` a boolean `True` means the
# opposite, "ignore this key".
#
# **Write `causal_mask` in [`mha_lib/attention.py`](../mha_lib/attention.py).**
#
# [hints: attention.causal_mask]

# %% nbgrader={"grade": true, "grade_id": "attention-causal_mask"}
check("attention.causal_mask")

# %% [markdown]
# ## Build 3: a padding mask
#
# Sentences in a batch have different lengths, a tensor is rectangular, so short sentences are
# filled up with padding. Padding must not be found: its **keys** are blocked, for every query.
#
# The mask gets the shape (B, 1, 1, T). Against scores (B, h, T_q, T_k) the two ones broadcast over
# the h heads of multi-head attention (notebook 3) and over the queries.
#
# **By hand**, lengths (3, 1) padded to $T = 4$:
#
# | | key 0 | key 1 | key 2 | key 3 |
# |---|---|---|---|---|
# | sentence 0 | True | True | True | False |
# | sentence 1 | True | False | False | False |
#
# **Write `padding_mask` in [`mha_lib/attention.py`](../mha_lib/attention.py).**
#
# [hints: attention.padding_mask]

# %% nbgrader={"grade": true, "grade_id": "attention-padding_mask"}
check("attention.padding_mask")

# %% [markdown]
# Masks combine with `&`: a key must be allowed by both. A batch of three sentences, of 8, 5 and 0
# tokens:

# %%
needs("attention.causal_mask", "attention.padding_mask")
lengths = [8, 5, 0]
both = attention.causal_mask(8) & attention.padding_mask(lengths, 8)  # (T, T) & (B, 1, 1, T)
print("combined:", tuple(both.shape))

fig = lookup.plot_masks(both[:, 0], [f"{n} tokens, {8 - n} padding" for n in lengths])
show(
    fig,
    alt="Three 8 by 8 masks, 1 = may attend: the lower triangle with its diagonal; the same, but "
    "columns 5 to 7 blocked; everything blocked.",
)

# %% [markdown]
# The third sentence is empty, and all its rows are blocked throughout. What is a weighted mean over
# nothing? Mathematically it is not defined: the usual way, a score of $-\infty$ for a blocked key,
# ends in $0/0$. Two answers from PyTorch:

# %%
blocked = torch.full((1, 3), float("-inf"))
print("softmax of nothing:   ", torch.softmax(blocked, dim=-1).tolist())
x = torch.ones(1, 3, 2)
fused = F.scaled_dot_product_attention(x, x, x, attn_mask=torch.zeros(3, 3, dtype=torch.bool))
print("attention to nothing: ", fused.tolist())

# %% [markdown]
# One NaN spreads: every sum it enters is NaN, then the loss, and after one step of training the
# model. So this course makes the same promise as PyTorch's fused attention: **a query that may
# attend to nothing gets all-zero weights and a zero output, never NaN.** It is a convention, not a theorem. PyTorch
# itself returned NaN here before version 2.5 (pytorch/pytorch, issue 103749).
#
# Blocked rows are no oddity: pad a sentence on the *left*, add a causal mask, and its first query
# sees nothing but padding.
#
# ## Build 4: scaled dot-product attention
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^{\mathsf T}}{\sqrt d}\right) V$$
#
# Each row of $Q K^{\mathsf T}$ holds one query's scores; the softmax runs over the **keys**. A
# blocked score must not take part in the softmax at all, so the mask is applied *before* it.
#
# **By hand.** $d = 4$, one query $q = (2, 0, 0, 0)$; keys $k_0 = (1, 0, 0, 0)$ and
# $k_1 = (0, 1, 0, 0)$; values $v_0 = 10$, $v_1 = 20$.
#
# 1. dot products: $(2, 0)$
# 2. divided by $\sqrt 4 = 2$: $(1, 0)$
# 3. softmax: $e^1 = 2.718$ and $e^0 = 1$, so the weights are $(0.731,\ 0.269)$
# 4. blend: $0.731 \cdot 10 + 0.269 \cdot 20 = 12.69$
#
# With $k_1$ blocked the weights are $(1, 0)$ and the output is 10. With both blocked: $(0, 0)$ and
# 0.
#
# **Write `scaled_dot_product_attention` in [`mha_lib/attention.py`](../mha_lib/attention.py).** Why $\sqrt d$, of all things,
# we measure right after.
#
# [hints: attention.scaled_dot_product_attention]

# %% nbgrader={"grade": true, "grade_id": "attention-scaled_dot_product_attention"}
check("attention.scaled_dot_product_attention")

# %% [markdown]
# ### Your function against PyTorch's
#
# Not only in our checks: here, on fresh random numbers. Differences of about 1e-7 (float32) and
# 1e-16 (float64) are rounding.

# %%
needs("attention.scaled_dot_product_attention", "attention.causal_mask", "attention.padding_mask")
attend = attention.scaled_dot_product_attention

masks = {"no mask": None, "causal": attention.causal_mask(8), "causal and lengths": both}
for dtype in (torch.float32, torch.float64):
    rand_q, rand_k, rand_v = torch.randn(3, 3, 4, 8, 6, dtype=dtype)  # each (B, h, T, d)
    for name, mask in masks.items():
        ours, _ = attend(rand_q, rand_k, rand_v, mask)
        theirs = F.scaled_dot_product_attention(rand_q, rand_k, rand_v, attn_mask=mask)
        difference = (ours - theirs).norm() / theirs.norm()
        print(f"{dtype!s:14} {name:19} relative difference {difference:.1e}")

# %% [markdown]
# ## The sentence looks itself up
#
# Row = the token that asks, column = the token that is found. Left without a mask, right with the
# causal mask.

# %%
needs("attention.scaled_dot_product_attention", "attention.causal_mask")
attend = attention.scaled_dot_product_attention
causal = attention.causal_mask(len(tokens))
out, weights = attend(q, k, v)  # (T, d_v), (T, T)
_, causal_weights = attend(q, k, v, causal)

fig, axes = new_figure(9, 4, ncols=2, sharey=True)
names = dict(row_labels=tokens, column_labels=tokens, x_label="key: the token found")
heat_map(axes[0], weights, title="no mask", **names)
image = heat_map(axes[1], causal_weights, title="causal mask", **names)
axes[0].set_ylabel("query: the token that asks")
fig.colorbar(image, ax=axes, label="weight (rows sum to 1)")
show(
    fig,
    alt=f"Two heat maps of weights. No mask: {lookup.describe_weights(tokens, weights, 'it')}. "
    f"Causal: {lookup.describe_weights(tokens, causal_weights, 'it')}.",
)

# %% [markdown]
# Read three rows: **it** finds "cat". **drank** finds "cat" and "milk". **cat** finds "drank", as
# long as it may look ahead.
#
# And this is what the tokens carry away, the blend of values:

# %%
needs("attention.scaled_dot_product_attention", "attention.causal_mask")
print(" " * 8, *(f"{name:>9}" for name in lookup.VALUES))
for token, row in zip(tokens, out.tolist(), strict=True):
    print(f"{token:>8}", *(f"{value:9.2f}" for value in row))

# %% [markdown]
# "it", whose own value was empty, now carries "alive", found at the cat. (That "it" asks for a
# being was our decision. A trained model has to find its queries by itself.)
#
# The map is readable because *we wrote the vectors*. What a trained model's attention maps explain
# is disputed: Jain & Wallace 2019 (arXiv 1902.10186) find that quite different weights can give the
# same output, Wiegreffe & Pinter 2019 (arXiv 1908.04626) answer that it depends on what one calls
# an explanation. Both studied recurrent networks.
#
# ### From average to dictionary
#
# How soft is soft? Multiply the query of "it" by a number before it asks:

# %%
needs("attention.scaled_dot_product_attention")
attend = attention.scaled_dot_product_attention
factors = (0.0, 0.25, 1.0, 4.0)
rows = torch.cat([attend(f * q[5:6], k, v)[1] for f in factors])  # (4, T); token 5 is "it"

fig, ax = new_figure(8, 2.6)
heat_map(
    ax,
    rows,
    row_labels=[f"{f:g} q" for f in factors],
    column_labels=tokens,
    title="the query of 'it', asked more and more loudly",
    x_label="key: the token found",
    y_label="query",
)
at_cat = ", ".join(f"{weight:.2f}" for weight in rows[:, 1].tolist())
show(fig, alt=f"Heat map, one row a factor 0, 0.25, 1, 4. The weight on cat: {at_cat}.")

# %% [markdown]
# Times 0 it is a plain average, times 4 practically a dictionary. In the last row a small change of
# the query changes next to nothing, so it leaves little to learn from. How sure of itself the
# softmax is depends on the size of the scores, and that brings us to $\sqrt d$.
#
# ## Measure: why divide by √d?
#
# Take queries and keys at random: all components independent, with mean 0 and variance 1. Nothing
# matches anything in particular. What does the width $d$ change?
#
# ### Predict

# %%
predict(
    "one-lookup-width",
    "d grows from 4 to 1024, that is 256-fold. By how much does the typical size (the standard "
    "deviation) of q·k grow?",
    ["not at all", "4-fold", "16-fold", "256-fold"],
)

# %%
predict(
    "one-lookup-saturation",
    "16 random keys, d = 1024, no scaling. How large is a query's largest weight, on average?",
    ["about 1/16: no key is better than the others", "about 1/4", "about 1/2", "above 0.9"],
)

# %% [markdown]
# ### What is proven
#
# With such components each product $q_i k_i$ has mean $E[q_i]\,E[k_i] = 0$ and variance
# $E[q_i^2]\,E[k_i^2] = 1$. The $d$ products are independent, so their variances add up:
#
# $$\mathrm{Var}(q \cdot k) = \sum_{i=1}^{d} \mathrm{Var}(q_i k_i) = d$$
#
# The same is stated in Vaswani et al. 2017, section 3.2.1, footnote 4. The paper then *suspects*
# (its word) that large scores push the softmax to where its gradient is extremely small. That part
# can be measured.
#
# ### Run it
#
# For each width: 300 random queries, each against 16 random keys of its own, all components
# $N(0, 1)$, five seeds, with *your* function. ("Not scaled" multiplies the queries by $\sqrt d$
# beforehand, which undoes your division.) The third panel is the size of the softmax's gradient:
# the norm of the matrix of all derivatives of a weight by a score, for the median query.

# %%
needs("attention.scaled_dot_product_attention")
attend = attention.scaled_dot_product_attention
widths, seeds = [4, 16, 64, 256, 1024], range(5)
plain = lookup.measure_saturation(attend, widths, seeds, scaled=False)
scaled = lookup.measure_saturation(attend, widths, seeds, scaled=True)

fig = lookup.plot_saturation(widths, plain, scaled)
first, last = ({name: x[i].mean() for name, x in plain.items()} for i in (0, -1))
show(
    fig,
    alt=f"Three panels against d from 4 to 1024. Not scaled: the variance of the scores follows d, "
    f"{first['variance']:.0f} to {last['variance']:.0f}; the mean largest weight rises from "
    f"{first['largest']:.2f} to {last['largest']:.2f}; the median gradient falls from "
    f"{first['typical slope']:.2f} to {last['typical slope']:.0e}. Scaled: all three stay level.",
)

# %% [markdown]
# Lines are means over the five seeds, bands go from the lowest to the highest seed. In numbers:

# %%
needs("attention.scaled_dot_product_attention")
print(f"{'d':>16}{'variance of scores':>30}{'largest weight':>22}{'entropy (nats)':>22}")
for label, result in (("not scaled", plain), ("scaled", scaled)):
    for i, d in enumerate(widths):
        row = f"{label:10} {d:>5}"
        for name, width in (("variance", 30), ("largest", 22), ("entropy", 22)):
            x = result[name][i]
            row += f"{x.mean():.2f} ({x.min():.2f} to {x.max():.2f})".rjust(width)
        print(row)
print(f"\nentropy of 16 even weights: {torch.tensor(16.0).log():.2f} nats")

# %% [markdown]
# What you may conclude, and what not:
#
# - **Proven**, under the assumptions above: the variance of $q \cdot k$ is $d$, and that of
#   $q \cdot k / \sqrt d$ is 1, whatever $d$ is. Trained queries and keys need not satisfy the
#   assumptions.
# - **Measured here**: without the division the softmax saturates as $d$ grows. For the median query
#   its gradient all but vanishes.
# - **Not the whole story**: the median is not the mean. While most queries get next to no gradient,
#   the few with two nearly equal best keys still get one. The next cell shows both; the derivative
#   by the *query* contains the scaling factor and the keys as well.

# %%
needs("attention.scaled_dot_product_attention")
print("norm of the derivatives of the weights")
for label, result in (("not scaled", plain), ("scaled", scaled)):
    for i in (0, -1):
        row = f"{label:10}  d = {widths[i]:>4}"
        for name, by in (("slope", "scores"), ("to query", "query")):
            median, mean = result["typical " + name][i].mean(), result[name][i].mean()
            row += f"   by the {by}: median {median:.5f}, mean {mean:.3f}"
        print(row)

# %% [markdown]
# Without scaling the gradient by the query does not disappear on average. It becomes rare and
# large: next to nothing for most queries, a jolt for a few. With scaling, median and mean are close
# to each other at both widths. That this is the better start for training is plausible, widely
# practised, and not shown by this experiment, which trains nothing.
#
# ## Break it
#
# The next cell computes the causal look-up in four other ways. Compare them with the causal panel
# under "The sentence looks itself up": which mistake made which picture, if any? The sums of rows
# and columns are a good first thing to look at.

# %%
needs("attention.causal_mask")
pictures = lookup.four_pictures(sentence, attention.causal_mask(len(tokens)))

fig, axes = new_figure(9, 8, nrows=2, ncols=2, sharex=True, sharey=True)
for ax, (letter, picture) in zip(axes.flat, pictures.items(), strict=True):
    rows = picture.sum(1)
    title = f"{letter}: rows sum to {rows.min():.2f} … {rows.max():.2f}"
    heat_map(ax, picture, row_labels=tokens, column_labels=tokens, title=title)
fig.supxlabel("key: the token found", size=10)
fig.supylabel("query: the token that asks", size=10)
readings = [f"{n}: {lookup.describe_weights(tokens, w, 'it')}" for n, w in pictures.items()]
show(fig, alt="Four heat maps of weights. " + ". ".join(readings) + ".")

# %% [markdown]
# The cells with the quizzes are folded, since they hold the answers: select one and run it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "the scores were not divided by √d",
    "the softmax ran over the queries",
    "the mask was applied after the softmax, without renormalising",
    "the mask's meaning was turned round",
    "none: this one is right",
]
quiz(
    "one-lookup-picture-a",
    "Picture A?",
    mistakes,
    answer=2,
    because="Only allowed keys have weight, but the rows no longer sum to 1: the blocked keys took "
    "part in the softmax, and their share is lost. The first row keeps next to nothing.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="Pattern and row sums are right, but the weights are too extreme: a score of 8 where "
    "8 / √4 = 4 belongs. The hardest mistake to see, as nothing is out of place.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-picture-c",
    "Picture C?",
    mistakes,
    answer=3,
    because="Every token looks only ahead, and the last one, which has nothing ahead, is blocked "
    "throughout: a row of zeros.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-picture-d",
    "Picture D?",
    mistakes,
    answer=1,
    because="The columns sum to 1 instead of the rows. The last key is seen by one query alone and "
    "gives it weight 1, however badly they match.",
)

# %% [markdown]
# ## Write it down
#
# A colleague makes the queries and keys wider, from $d = 64$ to $d = 1024$, and divides the scores
# by $d$ instead of $\sqrt d$, "to be on the safe side".
#
# Explain in about six sentences what $\sqrt d$ keeps constant, what dividing by $d$ does to the
# weights and to the output, and which parts of your answer are proven, measured or assumed. You can
# measure: your function divides by $\sqrt d$ already, so queries multiplied by the right number
# show you the rest.
#
# | points | for an answer that |
# |---|---|
# | 1 | says what √d keeps constant, with the argument about the variance |
# | 1 | says what becomes of scores, weights and output when d is divided by instead, as d grows |
# | 1 | names the assumptions on q and k; keeps proven, measured and only plausible apart |

# %% [markdown] nbgrader={"grade": true, "grade_id": "one-lookup-why-scale", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# If the components of q and k are independent with mean 0 and variance 1, each product of two
# components has variance 1 and their sum, q·k, has variance d. Dividing by √d divides the variance
# by d, so the scores keep a standard deviation of 1 at every width, and the softmax is as sharp at
# d = 1024 as at d = 64. Dividing by d leaves a standard deviation of 1/√d: 0.125 at d = 64 and
# about 0.03 at d = 1024. The scores of all keys are then nearly equal, the weights nearly even
# (1/T each), and the output is close to the plain mean of all values, whatever the query asks: the
# look-up stops looking up. (Measured with queries multiplied by 1/√d: for 16 random keys the mean
# largest weight at d = 1024 is about 0.066, where 1/16 is 0.0625.)
#
# Proven: the variances, under the assumption of independent components with mean 0 and variance 1.
# Measured: saturation without scaling, evenness when dividing by d, both for random vectors. Only
# plausible: that either harms training; learned queries and keys are neither independent nor bound
# to variance 1, and a model could learn larger queries to make up for the smaller factor.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# A model runs many look-ups like yours side by side, its *heads* (notebooks 2 and 3). The width $d$
# of one is called `head_dim` in a model's configuration; `hidden_size` is the width of a token.
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-card-1",
    "Llama-3-8B: hidden_size 4096, 32 heads, head_dim 128. By what does one head divide its "
    "scores?",
    ["√4096 = 64", "√128 ≈ 11.3", "√32 ≈ 5.7", "128"],
    answer=1,
    because="The dot product has 128 terms, one for each component of the head's queries and keys. "
    "Not a law of nature: Gemma-2-27B, with head_dim 128, divides by √144 = 12, with "
    "144 = hidden size / heads = 4608 / 32. Source: LitGPT's table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-card-2",
    "T5-small: 8 heads of width 64 (d_kv). By what are its scores divided?",
    ["√64 = 8", "√512 ≈ 22.6", "64", "nothing"],
    answer=3,
    because="T5 computes softmax(q·k) as it stands, scaling = 1.0. The factor is not lost: the "
    "query matrix starts out smaller by 1/√64, so the first scores are as large as with the "
    "division. Source: the T5 classes of the transformers library.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "one-lookup-card-3",
    "DeepSeek-V3: queries and keys of a head have 128 + 64 = 192 components, values 128. How wide "
    "is the output of one head?",
    ["128", "192", "320", "64"],
    answer=0,
    because="The output is a weighted mean of values, so it is as wide as they are: (T_q, T_k) @ "
    "(T_k, 128). Only q and k must have the same width. Source: DeepSeek's inference "
    "configuration.",
)

# %% [markdown]
# ## Predictions against outcomes

# %% jupyter={"source_hidden": true}
needs("attention.scaled_dot_product_attention", "attention.causal_mask")
two, none = weights[2], causal_weights[1]
outcome(
    "one-lookup-two-matches",
    2,
    f"'drank' puts {two[1]:.2f} on 'cat' and {two[3]:.2f} on 'milk', and gets one vector: alive "
    f"{out[2, 0]:.2f}, drinkable {out[2, 1]:.2f}. One look-up, one blend.",
)

# %% jupyter={"source_hidden": true}
needs("attention.scaled_dot_product_attention", "attention.causal_mask")
outcome(
    "one-lookup-no-match",
    1,
    f"'cat' puts {none[0]:.2f} on 'the' and {none[1]:.2f} on 'cat': equal scores, equal weights. "
    "Softmax has no way to say 'nothing found'. Only a row that is blocked throughout is zero.",
)

# %% jupyter={"source_hidden": true}
needs("attention.scaled_dot_product_attention")
growth = (plain["variance"][-1] / plain["variance"][0]).sqrt()
outcome(
    "one-lookup-width",
    2,
    f"Measured: {growth.mean():.1f}-fold ({growth.min():.1f} to {growth.max():.1f} over seeds). "
    "The variance grows 256-fold, the standard deviation by √256 = 16.",
)

# %% jupyter={"source_hidden": true}
needs("attention.scaled_dot_product_attention")
largest = plain["largest"][-1]
outcome(
    "one-lookup-saturation",
    3,
    f"Measured: {largest.mean():.2f} ({largest.min():.2f} to {largest.max():.2f} over the seeds), "
    f"against {scaled['largest'][-1].mean():.2f} with scaling.",
)

# %%
predictions_table("one-lookup")

# %% [markdown]
# ## What's next
#
# You have the whole look-up: compare, scale, mask, softmax, blend. It has a limit you have already
# seen: "drank" asked for a being *and* a thing, and got a single blend of the two. One look-up has
# one set of weights. [Notebook 2](02_one_head_one_blend.ipynb) measures what that costs, and what
# happens when a token may ask several questions at once.
