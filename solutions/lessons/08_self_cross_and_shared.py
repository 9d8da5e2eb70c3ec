# ---
# jupyter:
#   core_idea:
#     says: >-
#       Cross-attention is the same look-up with keys and values from another sequence; query heads
#       may share key and value heads (GQA, MQA), so that less has to be kept while a text is
#       generated.
#     explained: "Part two: sharing keys and values"
#     measured: "Measure: a cache at work"
#     drawn: "Measure: does it find out what belongs to what?"
# ---

# %% [markdown]
# # 8 · Self, cross and shared
#
# **Whom may a token ask? And must every head keep keys and values of its own?**
#
# *About 60 minutes.* So far a sequence has looked things up in itself. Two changes are left to make,
# both small in code. First, the keys and values may come from *another* sequence: cross-attention.
# Second, several query heads may *share* one key head and one value head: multi-query and
# grouped-query attention, which is what `num_key_value_heads` on a model card is about. Five functions:
#
# | function | what it does |
# |---|---|
# | `cross_attention` | lets one sequence look things up in another |
# | `expand_kv` | repeats key or value heads, one for each query head |
# | `grouped_query_attention` | multi-head attention with fewer key and value heads |
# | `kv_cache_bytes` | counts what must be kept while a text is written |
# | `pool_kv_heads` | makes few key or value heads out of many |
#
# You write them in **[`mha_lib/sharing.py`](../mha_lib/sharing.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import Dropdown, SelectionSlider

from attention_lab import alignments, decoding, pooling, splitting
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import follow
from autograde import check, needs
from mha_lib import attention, heads, sharing

# %% [markdown]
# ## Part one: another sequence
#
# A translator reads a French sentence and writes an English one. Each English token asks a question
# (its query), and the French tokens hold the answers (keys and values). The mechanism is the one you
# know, with two sources:
#
# | | queries from | keys and values from | weights |
# |---|---|---|---|
# | self-attention | x (B, T, D) | x | (B, h, T, T) |
# | cross-attention | x (B, T_q, D) | memory (B, T_k, D_memory) | (B, h, T_q, T_k) |
#
# This is the "encoder-decoder attention" of Vaswani et al. (2017, arXiv 1706.03762, section 3.2.3).
# The two sequences need not be equally long, nor equally wide: $W_K$ and $W_V$ have D_memory rows.
# The result has one row for each token that *asks*.
#
# ## Build 1: cross_attention
#
# **By hand.** One head, d = 1, all projections 1, and no scaling to worry about since √1 = 1. One
# token asks, x = 2. The memory holds two tokens, 0 and ln 3. The scores are 2 · 0 = 0 and
# 2 · ln 3 = ln 9, the weights 1/10 and 9/10, so the output is 9/10 · ln 3 ≈ 0.989.
#
# **Write `cross_attention` in [`mha_lib/sharing.py`](../mha_lib/sharing.py).**
#
# [hints: sharing.cross_attention]

# %% nbgrader={"grade": true, "grade_id": "sharing-cross_attention"}
check("sharing.cross_attention")

# %% [markdown]
# ## Measure: does it find out what belongs to what?
#
# A source of 10 random symbols; the target is a *copy*, the source *reversed*, the source in a fixed
# *shuffled* order, or *every second* symbol. One cross-attention layer with a single head connects
# them. A target token knows its own place, nothing else. A source token is its symbol plus its place.
# The loss says whether the right symbol was named. It never says where that symbol stood.
#
# ### Predict

# %%
predict(
    "sharing-alignment",
    "A layer is trained on “reverse” until it names the symbols right. Where does target place 0 "
    "put its weight?",
    [
        "On source place 0: places with the same number belong together",
        "On source place 9, which holds the answer",
        "Evenly on all of them; the values sort it out",
        "Nobody can say: each training finds another way",
    ],
)

# %%
needs("sharing.cross_attention")
found = {}
for task in alignments.TASKS:
    run, model = alignments.train_aligner(task, cross=sharing.cross_attention, seed=100)
    found[task] = alignments.patterns(model)  # (T_q, T_k), mean over 500 fresh sources
    print(f"{task:13} {run.steps} steps, {run.seconds:.1f} s, accuracy {run.accuracy:.3f}")
fig, alt = alignments.plot_alignments(found)
show(fig, alt=alt)

# %% [markdown]
# The red frames mark the source place that holds the answer; the colours are what the layer does.
# (Other seeds and longer training are one argument away: `seed=7`, `steps=500`.)
# Ten seeds of each are recorded, and a control in which the source tokens do not know their places
# (`python -m attention_lab.alignments record` repeats them, in seconds):

# %%
print(alignments.summary(alignments.recorded_runs()))

# %% jupyter={"source_hidden": true}
needs("sharing.cross_attention")
reversed_runs = alignments.select(alignments.recorded_runs(), task="reverse", places=True)
outcome(
    "sharing-alignment",
    1,
    f"Place 0 puts {found['reverse'][0, 9]:.2f} of its weight on source place 9. Over the "
    f"{len(reversed_runs)} recorded seeds the right places get {min(r.weight for r in reversed_runs):.3f} "
    "or more, on average over the target.",
)

# %% [markdown]
# What this shows and what not:
#
# - Nobody told the layer which place belongs to which. It found out because that is what lowers the
#   loss: a blend of ten values does not say which symbol stood where, one value does.
# - Without places in the source the same layer stays at about a quarter: the keys say nothing about
#   where a symbol stands, so no query can pick one out. (That is more than guessing among 12 symbols,
#   since it can see which symbols are frequent.)
# - One head is enough here. This shows the mechanism, not a need for many heads.
# - These alignments depend on places alone. In a translation they depend on words, too, and are less
#   sharp.
#
# ## Part two: sharing keys and values
#
# A decoder writes one token at a time. For the new token it computes one query, one key and one value
# a head. The keys and values of all *earlier* tokens do not change any more (the mask is causal), so
# they are kept: the **KV cache**. Nobody needs an old query again.
#
# So while writing, the memory goes to keys and values, and each step must read all of them.
# Shazeer (2019, arXiv 1911.02150) asked what happens when all h query heads share **one** key head and
# one value head: *multi-query attention* (MQA). Ainslie et al. (2023, arXiv 2305.13245) put a number
# between: h_kv groups, *grouped-query attention* (GQA).
#
# | | query heads | key and value heads |
# |---|---|---|
# | MHA | h | h_kv = h |
# | GQA | h | 1 < h_kv < h |
# | MQA | h | h_kv = 1 |

# %%
fig, alt = decoding.plot_sharing()
show(fig, alt=alt)

# %% [markdown]
# ### Predict
#
# On model cards h is `num_attention_heads` and h_kv is `num_key_value_heads`.

# %%
predict(
    "sharing-bytes",
    "A model has 32 heads. num_key_value_heads goes from 32 to 8; nothing else changes. What happens to "
    "its KV cache?",
    [
        "It stays: there are still 32 heads",
        "It shrinks to a quarter",
        "It shrinks to a half: keys are shared, values are not",
        "It shrinks to a sixteenth",
    ],
)

# %%
predict(
    "sharing-70b",
    "Llama-2-7B: 32 layers, width 4096. Llama-2-70B: 80 layers, width 8192. Whose cache is larger, for "
    "the same text?",
    [
        "The 70B model's, about ten times",
        "The 70B model's, about five times",
        "They are about equal",
        "The 7B model's",
    ],
)

# %% [markdown]
# ## Build 2: expand_kv
#
# The simplest way to compute it: repeat the key heads until there are h, and go on as always. The
# query heads of a group are **neighbours**.
#
# **By hand**: h = 6, h_kv = 3. A group has 6 / 3 = 2 query heads, so they read the key heads
# 0, 0, 1, 1, 2, 2.
#
# **Write `expand_kv` in [`mha_lib/sharing.py`](../mha_lib/sharing.py).**
#
# [hints: sharing.expand_kv]

# %% nbgrader={"grade": true, "grade_id": "sharing-expand_kv"}
check("sharing.expand_kv")

# %% [markdown]
# ## Break it: which way of repeating made which picture?
#
# Six query heads, three key heads. Yellow: the query head (row) reads this key head (column).

# %%
needs("sharing.expand_kv")
fig, alt = splitting.plot_pictures(
    decoding.wrong_expansions(sharing.expand_kv), "key head", "query head"
)
show(fig, alt=alt)

# %% [markdown]
# All four have the right shape, and none raises an error. Which is which? The cells with the quizzes
# are folded, since they hold the answers: select one and run it.

# %% jupyter={"source_hidden": true}
ways = [
    "kv.repeat: the heads as a whole, one copy behind the other",
    "right: neighbours share a head",
    "num_kv_heads was taken for the size of a group",
    "every query head gets the mean of the key heads",
]
quiz(
    "sharing-picture-a",
    "Picture A?",
    ways,
    answer=0,
    because="0, 1, 2, 0, 1, 2. A model trained with the other order gives nonsense with this one, "
    "without any error.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-picture-b",
    "Picture B?",
    ways,
    answer=2,
    because="Groups of three: heads 0 to 2 read key head 0, heads 3 to 5 read key head 1, and key head "
    "2 is read by nobody.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-picture-c",
    "Picture C?",
    ways,
    answer=1,
    because="0, 0, 1, 1, 2, 2: query head i reads i // (h / h_kv).",
)

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-picture-d",
    "Picture D?",
    ways,
    answer=3,
    because="Every row reads all three: they were averaged.",
)

# %% [markdown]
# ## Build 3: grouped_query_attention
#
# $$\mathrm{head}_i = \mathrm{Attention}(x W_{Q,i},\; x W_{K,g(i)},\; x W_{V,g(i)}), \qquad
# g(i) = \left\lfloor \frac{i}{h / h_{kv}} \right\rfloor$$
#
# $W_Q$ is (D, h·d) as ever. $W_K$ and $W_V$ are only (D, h_kv·d): **all heads keep the width d**,
# there are just fewer of them.
#
# **By hand**: D = 4096, h = 32, h_kv = 8, d = 128. $W_Q$ is (4096, 4096), $W_K$ is (4096, 1024).
#
# **Write `grouped_query_attention` in [`mha_lib/sharing.py`](../mha_lib/sharing.py).**
#
# [hints: sharing.grouped_query_attention]

# %% nbgrader={"grade": true, "grade_id": "sharing-grouped_query_attention"}
check("sharing.grouped_query_attention")

# %% [markdown]
# ## Is it a new kind of attention?
#
# No: it is multi-head attention in which some heads' $W_K$ and $W_V$ happen to be equal. Repeat the
# columns of the shared heads, give the wide matrices to your `multi_head_attention` of notebook 3, and
# compare:

# %%
h, d, width = 8, 16, 96
generator = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64) / shape[-2] ** 0.5


x, w_q, w_o = draw(2, 10, width), draw(width, h * d), draw(h * d, width)

# %%
needs("sharing.grouped_query_attention", "heads.multi_head_attention")
for h_kv in (8, 4, 2, 1):
    w_k, w_v = draw(width, h_kv * d), draw(width, h_kv * d)
    shared, _ = sharing.grouped_query_attention(x, w_q, w_k, w_v, w_o, h, h_kv)
    wide_k, wide_v = (
        w.reshape(width, h_kv, d).repeat_interleave(h // h_kv, dim=1).reshape(width, h * d)
        for w in (w_k, w_v)
    )
    full, _ = heads.multi_head_attention(x, w_q, wide_k, wide_v, w_o, h)
    parameters = sum(w.numel() for w in (w_q, w_k, w_v, w_o))
    print(
        f"h_kv = {h_kv}: largest difference {(shared - full).abs().max():.0e}, {parameters:,} weights"
    )

# %% [markdown]
# Equal to rounding, for any weights. So GQA can compute nothing that MHA could not; it can compute
# *less*: in a group all heads must look at the same keys and fetch the same values. They still have
# queries of their own, so they can look at different *places*.
#
# ## Build 4: kv_cache_bytes
#
# For each token, each layer keeps one key and one value of width d for each of the h_kv heads:
#
# $$\text{bytes} = 2 \cdot L \cdot h_{kv} \cdot d \cdot T \cdot B \cdot \text{bytes per value}$$
#
# **By hand**, GPT-2: 12 layers, 12 heads of 64, at 2 bytes: 2 · 12 · 12 · 64 · 2 = 36,864 bytes =
# 36 KiB for each token. Note what is *not* in it: no h, no D, no T².
#
# **Write `kv_cache_bytes` in [`mha_lib/sharing.py`](../mha_lib/sharing.py).**
#
# [hints: sharing.kv_cache_bytes]

# %% nbgrader={"grade": true, "grade_id": "sharing-kv_cache_bytes"}
check("sharing.kv_cache_bytes")

# %% [markdown]
# ## Measure: a cache at work
#
# The layer from above, now token by token: one new query, key and value at a time, everything else
# from the cache. Two things to check against the truth: the output (against the whole sequence at
# once with a causal mask), and the size of the tensors that were really kept.

# %%
needs(
    "sharing.grouped_query_attention", "sharing.expand_kv", "sharing.kv_cache_bytes",
    "attention.scaled_dot_product_attention", "attention.causal_mask",
    "heads.split_heads", "heads.merge_heads",
)  # fmt: skip
for h_kv in (8, 2, 1):
    w_k, w_v = draw(width, h_kv * d), draw(width, h_kv * d)
    keys = values = torch.empty(2, h_kv, 0, d, dtype=torch.float64)  # the cache, (B, h_kv, 0, d)
    written = []
    for t in range(10):
        token = x[:, t : t + 1]  # (B, 1, D)
        keys = torch.cat([keys, heads.split_heads(token @ w_k, h_kv)], dim=2)
        values = torch.cat([values, heads.split_heads(token @ w_v, h_kv)], dim=2)
        q = heads.split_heads(token @ w_q, h)  # (B, h, 1, d)
        all_keys, all_values = (sharing.expand_kv(kv, h) for kv in (keys, values))
        out, _ = attention.scaled_dot_product_attention(q, all_keys, all_values)
        written.append(heads.merge_heads(out) @ w_o)
    mask = attention.causal_mask(10)
    at_once, _ = sharing.grouped_query_attention(x, w_q, w_k, w_v, w_o, h, h_kv, mask)
    error = (torch.cat(written, dim=1) - at_once).abs().max()
    kept = keys.nbytes + values.nbytes
    formula = sharing.kv_cache_bytes(1, h_kv, d, num_tokens=10, batch=2, bytes_per_value=8)
    print(f"h_kv = {h_kv}: difference {error:.0e}, {kept:,} bytes kept, by formula {formula:,}")

# %% jupyter={"source_hidden": true}
needs("sharing.kv_cache_bytes")
before, after = (sharing.kv_cache_bytes(32, count, 128, 1) for count in (32, 8))
outcome(
    "sharing-bytes",
    1,
    f"With 32 layers and d = 128: {before:,} bytes for each token before, {after:,} after: "
    f"{after / before:.2f}. Keys and values are shared alike, and the query heads are not kept.",
)

# %% [markdown]
# No mask was needed token by token: what is not written yet cannot be looked at.
#
# A word on cross-attention. Its keys and values come from the memory, which stays the same while the
# decoder writes. They are computed once and kept as well, but that cache does not *grow*.
#
# ## Seven billion against seventy
#
# What one token adds to the cache of published models, by your function:

# %%
needs("sharing.kv_cache_bytes")
per_token = {
    card.name: sharing.kv_cache_bytes(card.num_layers, card.num_kv_heads, card.head_dim, 1)
    for card in decoding.CARDS
}
fig, alt = decoding.plot_cards(per_token)
show(fig, alt=alt)
for card in decoding.CARDS:
    long_text = 4096 * per_token[card.name] / 1024**3
    print(f"{card.name:15} {long_text:.2f} GiB for 4096 tokens\n    ({card.source})")

# %% jupyter={"source_hidden": true}
needs("sharing.kv_cache_bytes")
outcome(
    "sharing-70b",
    3,
    f"{per_token['Llama-2-7B'] / 1024:.0f} KiB a token against {per_token['Llama-2-70B'] / 1024:.0f} KiB. "
    "The 7B model keeps 32 heads in each of 32 layers, the 70B model 8 heads in each of 80; d is 128 in "
    "both.",
)

# %% [markdown]
# The cache is a matter of L · h_kv · d, and the number of parameters is not in it. 32 · 32 is more than
# 80 · 8. The 70B model's *weights* are of course ten times larger; but weights are loaded once for a
# whole batch, and each sequence of the batch has a cache of its own.
#
# ### Try it: a cache meter
#
# Choose a model, a length and a batch. The bytes are your function's.

# %%
needs("sharing.kv_cache_bytes")
follow(
    partial(decoding.plot_meter, sharing.kv_cache_bytes),
    name=Dropdown(options=[card.name for card in decoding.CARDS], description="model"),
    num_tokens=SelectionSlider(
        options=[2**n for n in range(10, 21)], value=4096, description="tokens"
    ),
    batch=SelectionSlider(options=[1, 2, 4, 8, 16, 32, 64], value=8, description="sequences"),
)

# %% [markdown]
# ## Measure: the time of one step
#
# Fewer bytes to read should mean less time. How much less? Here is the attention of one step at the
# end of a long text: 32 query heads of width 128, 4096 tokens in the cache, 2 sequences, float32, one
# layer, on one thread of *your* machine. In two ways:
#
# - **repeated**: your `expand_kv`, then your `scaled_dot_product_attention`. Simple, but it makes h
#   heads in memory again, at every step.
# - **grouped**: nothing is repeated. The h / h_kv queries of a group become the *rows* of one look-up:
#   (B, h_kv, h / h_kv, d) against (B, h_kv, T, d). The same function, called with other shapes.
#
# ### Predict

# %%
predict(
    "sharing-time",
    "With 1 key and value head instead of 32, the cache has 1/32 of the bytes. The step in the repeated "
    "way: what share of its time is left?",
    [
        "Less than a tenth",
        "Between a tenth and a half",
        "More than a half: the gain is small",
    ],
)

# %%
predict(
    "sharing-grouped",
    "And of its time in the grouped way, which never repeats a head?",
    ["1/32 or even less", "Between 1/32 and a half", "More than a half"],
)

# %%
needs("sharing.expand_kv", "attention.scaled_dot_product_attention")
steps = decoding.measure_steps(attention.scaled_dot_product_attention, sharing.expand_kv)
fig, alt = decoding.plot_steps(steps)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("sharing.expand_kv", "attention.scaled_dot_product_attention")
slow, fast = (times[-1] / times[0] for times in (steps.repeated, steps.grouped))
outcome(
    "sharing-time",
    0 if slow < 0.1 else 1 if slow < 0.5 else 2,
    f"{steps.repeated[-1]:.1f} ms with 1 head against {steps.repeated[0]:.1f} ms with 32, {slow:.2f} of "
    "the time. The copy of h heads has to be written and read at every step.",
)
outcome(
    "sharing-grouped",
    0 if fast <= 1 / 32 else 1 if fast < 0.5 else 2,
    f"{steps.grouped[-1]:.2f} ms against {steps.grouped[0]:.1f} ms: 1/{1 / fast:.1f} of the time, "
    f"with 1/{steps.nbytes[0] / steps.nbytes[-1]:.0f} of the bytes.",
)

# %% [markdown]
# How to read this:
#
# - **Who repeats the heads gives the gain away.** The cache is small, and then h heads are written to
#   memory again. `expand_kv` is the definition; a fast implementation never calls it while decoding.
# - **Time is not bytes.** The direction is right, the ratio of the bytes need not be yours. The
#   scores and the softmax are made for all h heads, however many key heads there are. A small cache
#   may fit into the processor's own memory. And a group's queries go through one matrix product, which
#   suits a processor better than one row at a time. Numbers of one machine say little about another.
# - It is the time of the attention alone. A whole step also reads all weights of the model.
#
# ## Build 5: pool_kv_heads
#
# A model with 32 key and value heads has been trained, at great cost. Must it be trained anew to get
# 8? Ainslie et al. (2023) convert it: each new head is the **mean of its group**, and then training
# goes on for 5 % of the original compute ("uptraining").
#
# **By hand.** One row of W_K, h = 4 heads of d = 2: `[1 2 | 3 4 | 5 6 | 7 8]`. For h_kv = 2: the mean
# of heads 0 and 1 is `2 3`, of heads 2 and 3 `6 7`, so `[2 3 | 6 7]`.
#
# **Write `pool_kv_heads` in [`mha_lib/sharing.py`](../mha_lib/sharing.py).**
#
# [hints: sharing.pool_kv_heads]

# %% nbgrader={"grade": true, "grade_id": "sharing-pool_kv_heads"}
check("sharing.pool_kv_heads")

# %% [markdown]
# ## Measure: what does pooling cost, and what repairs it?
#
# The task of notebook 2: every token asks for the values of four others by name. A value is three
# signs; guessing is right in 1 of 8 cases. A layer of 8 heads of width 12, your
# `grouped_query_attention`, learns it in 600 steps. Then its 8 key and value heads become 2.
#
# ### Predict

# %%
predict(
    "sharing-pooled",
    "8 heads, trained until nearly every value is right. Now each group of 4 key heads and of 4 value "
    "heads is replaced by its mean. The accuracy, before any more training?",
    [
        "Above 0.9: the mean keeps what the heads have in common",
        "Between guessing and 0.9",
        "At guessing, 0.125: the mean of different heads is noise",
    ],
)

# %%
predict(
    "sharing-uptrained",
    "Then 30 more steps, a twentieth of the 600. The accuracy?",
    ["Hardly better", "Better, but below 0.7", "Above 0.8"],
)

# %%
needs("sharing.grouped_query_attention", "sharing.pool_kv_heads")
original = pooling.SharedReader(8, attend=sharing.grouped_query_attention, seed=100)
pooling.train_reader(original, seed=100, label="8 heads")
print(f"8 key and value heads:  {pooling.accuracy(original):.3f}")

live = {}
for name, h_kv in (("mean,\n4 heads", 4), ("mean,\n2 heads", 2), ("mean,\n1 head", 1)):
    fewer = pooling.convert(original, h_kv, sharing.pool_kv_heads, seed=600)
    pooled = pooling.accuracy(fewer)
    pooling.train_reader(fewer, steps=pooling.UPTRAINING, seed=600, label=name.replace("\n", " "))
    live[name] = pooled, pooling.accuracy(fewer)
    print(
        f"pooled to {h_kv}: {live[name][0]:.3f}, after {pooling.UPTRAINING} more steps {live[name][1]:.3f}"
    )

# %% [markdown]
# (To train on for longer: `steps=60` in place of `pooling.UPTRAINING`.) Ten seeds of each are
# recorded, with controls (`python -m attention_lab.pooling record` repeats them in a few minutes):
#
# - keep the **first** head of each group instead of the mean;
# - put **random** key and value heads there;
# - start with **all weights new** and train as long as the uptraining;
# - uptrain **longer**;
# - train with 2 heads or 1 head **from the start**, for the full 600 steps.

# %%
needs("sharing.grouped_query_attention", "sharing.pool_kv_heads")
recorded = pooling.recorded_runs()
fig, alt = pooling.plot_runs(recorded, live)
show(fig, alt=alt)
print(pooling.summary(recorded))

# %% jupyter={"source_hidden": true}
needs("sharing.grouped_query_attention", "sharing.pool_kv_heads")
two, longer = (
    pooling.runs_of(name, recorded) for name in ("mean,\n2 heads", "mean, 2 heads,\ntwice as long")
)
outcome(
    "sharing-pooled",
    1,
    f"{min(r.before for r in two):.2f} to {max(r.before for r in two):.2f} over {len(two)} recorded seeds.",
)
outcome(
    "sharing-uptrained",
    2,
    f"{min(r.after for r in two):.2f} to {max(r.after for r in two):.2f} over {len(two)} recorded seeds, "
    f"and {min(r.after for r in longer):.2f} or more after {longer[0].steps} steps.",
)

# %% [markdown]
# What these runs say:
#
# - Pooling costs a lot, and the more heads go into one, the more. The heads had learned to compare
#   names in directions of their own; the mean of two different keys is neither.
# - A little training repairs most of it, and somewhat more training nearly all of it, in this task.
# - It is not the training alone: with random heads or new weights the accuracy is 0.2 or less after as
#   many steps. The mean is also a better start than the first head of each group, which throws the
#   others away.
# - Nor is it a lack of room: trained with 2 heads or even 1 from the start, the same layer gets
#   everything right. **What is lost is lost in the conversion, not in the capacity**, here.
#
# That last point is about a small task in which all look-ups compare the same kind of name. For language
# models the papers do not quite agree: Shazeer (2019) found only minor losses with MQA; Ainslie et al.
# (2023) say that MQA can lose quality, and report that uptrained GQA comes close to MHA, at about the
# speed of MQA.
#
# ## Write it down
#
# A colleague has a model with 32 layers, 32 heads of 128, MHA. The plan: "We average the key and value
# heads down to 8. Then the model is four times smaller and writes four times faster, and nothing else
# happens."
#
# Say in about eight sentences what is right, what is wrong, and what you would do after averaging.
#
# | 4 points | |
# |---|---|
# | 1 | says what becomes four times smaller (the cache, with numbers), and what does not (the model: W_K and W_V only) |
# | 1 | says why time need not follow the bytes, with a measurement and the difference between the two ways |
# | 1 | says what averaging costs, with numbers, and names the cure |
# | 1 | names a control that shows that the cure is not the training alone, or that capacity is not the problem |

# %% [markdown] nbgrader={"grade": true, "grade_id": "sharing-note", "points": 4, "solution": true}
# ### BEGIN SOLUTION
# The KV cache does become four times smaller: 2 · 32 · 32 · 128 · 2 = 524,288 bytes for each token
# before, 131,072 after. The model does not: only W_K and W_V shrink to a quarter, W_Q and W_O stay,
# and so do the feed-forward networks. Whether a step gets faster depends on how it is computed. In my
# measurement the repeated way gained hardly anything from fewer key heads, since it writes all 32 heads
# to memory again; the grouped way did gain, but the ratio of its times was not the ratio of the bytes.
# And attention over the cache is only a part of a step: the weights have to be read, too.
#
# Averaging is not free. In the look-up task, 8 heads pooled to 2 fell from 1.00 to 0.45 (median of ten
# seeds), and 30 more steps, 5 % of the training, brought them back to 0.93, 60 steps to 0.99. So
# I would go on training for a while. That it is not the training alone is shown by random heads and by
# new weights, which were still at 0.2 or less after as many steps. And a layer trained with 2 heads from the
# start was right everywhere: it was the conversion that cost, not the capacity.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-card-1",
    "Falcon-7B: 32 layers, 71 heads, multi_query: true, d = 64. How large is its cache for one token, at 2 "
    "bytes a value?",
    ["568 KiB", "16 KiB", "8 KiB", "4 KiB"],
    answer=2,
    because="One key and value head: 2 · 32 · 1 · 64 · 2 = 8192 bytes. With 71 of them it would be 568 KiB. "
    "Source: LitGPT's table of named checkpoints; default of the configuration class in transformers "
    "5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-card-2",
    "Mixtral-8x7B has 8 experts in every layer. Mistral-7B has none. Both have 32 layers, 32 heads, 8 key "
    "and value heads, d = 128. Whose cache is larger?",
    ["Mixtral's, 8 times", "Mixtral's, twice: 2 experts are active", "They are equal", "Mistral's"],
    answer=2,
    because="Experts replace the feed-forward network, which keeps nothing for earlier tokens. 128 KiB a "
    "token in both. Source: defaults of the configuration classes in transformers 5.24.0, and LitGPT's "
    "table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "sharing-card-3",
    "SmolLM2-135M: 30 layers, 9 heads of 64, num_key_value_heads 3. Falcon-7B's cache takes 8 KiB a token. "
    "SmolLM2-135M's?",
    [
        "Less than 1 KiB: it has about a fiftieth of the parameters",
        "8 KiB, too",
        "22.5 KiB, nearly three times as much",
        "67.5 KiB, for 9 heads",
    ],
    answer=2,
    because="2 · 30 · 3 · 64 · 2 = 23,040 bytes = 22.5 KiB. The number of parameters is not in the formula. "
    "Source: model_cards.json.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("sharing")

# %% [markdown]
# ## What's next
#
# What is certain now: cross-attention and GQA are the mechanism of notebook 3 with other sources and
# repeated weights, exactly. The size of a cache is arithmetic. What sharing does to time and to quality
# is measured, on one machine and one task. [Notebook 9](09_heads_are_not_layers.ipynb) puts layers on
# top of each other. Run `progress()` in [notebook 0](00_start_here.ipynb) to see where you stand.
