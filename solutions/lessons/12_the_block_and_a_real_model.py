# ---
# jupyter:
#   core_idea:
#     says: >-
#       A transformer block is multi-head attention and a feed-forward network, each with a norm and
#       a residual connection: the unit that models are stacked from, and, with trained weights, all
#       it takes to run a real encoder.
#     explained: "Two sub-layers, wired alike"
#     measured: "Your code runs a real model"
#     drawn: "Two sub-layers, wired alike"
# ---

# %% [markdown]
# # 12 · The block and a real model
#
# **What stands around multi-head attention in a model, and does your own code run a real one?**
#
# *About 60 minutes.* Eleven notebooks took one layer apart. Now it gets the rest of its block: a
# norm, a feed-forward network, residual connections. Then weights that somebody else has trained
# go into your functions, and sentences are found by what they mean. Three functions:
#
# | function | what it does |
# |---|---|
# | `layer_norm` | gives every token mean 0 and variance 1 |
# | `feed_forward` | widens every token, bends it, and brings it back |
# | `transformer_block` | attention and feed-forward network, put together |
#
# You write them in **[`mha_lib/block.py`](../mha_lib/block.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch

from attention_lab import blocks, fused, splitting
from attention_lab.device import best_device
from attention_lab.encoder import load_encoder, pool
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import explore_own
from autograde import check, needs
from mha_lib import attention, block, heads, mixing

# %% [markdown]
# ## Predict

# %%
predict(
    "block-share",
    "A block of width D = 384 with 12 heads and a feed-forward network of width 4·D. What share of its "
    "parameters belongs to the attention?",
    ["About one quarter", "About one third", "About one half", "About two thirds"],
)

# %%
predict(
    "block-heads",
    "A trained model has 12 heads of 32 in each layer. You run its weights with 6 heads of 64. What "
    "happens?",
    [
        "An error: the shapes do not fit",
        "The same results: heads only share the width out",
        "Other results, and no error",
    ],
)

# %% [markdown]
# ## Two sub-layers, wired alike
#
# A block holds two sub-layers. **Multi-head attention** moves information between tokens. The
# **feed-forward network** works on each token alone. Both *add* to what they read, so a vector runs
# through the whole model to which every sub-layer adds its part: the stream. The **norm** sees to
# it that a sub-layer's numbers have a steady size. It can stand in two places:

# %%
fig, alt = blocks.plot_block()
show(fig, alt=alt)

# %% [markdown]
# **Post-norm**, as in Vaswani et al. (2017, arXiv 1706.03762, section 3.1): the norm stands on the
# stream, behind each sum. $\;x \leftarrow \mathrm{norm}_1(x + \mathrm{MultiHead}(x))$, then
# $x \leftarrow \mathrm{norm}_2(x + \mathrm{FFN}(x))$.
#
# **Pre-norm**: the norm stands beside the stream, in front of each sub-layer.
# $\;x \leftarrow x + \mathrm{MultiHead}(\mathrm{norm}_1(x))$, then
# $x \leftarrow x + \mathrm{FFN}(\mathrm{norm}_2(x))$.
#
# Same parts, same shapes: (B, T, D) comes in, (B, T, D) goes out, so blocks can be stacked. No shape
# tells which wiring a model has; weights trained with one do not work with the other, as you
# will see.
#
# ## Build 1: layer_norm
#
# Each token is normalised **by itself**, over its own D numbers $x_1 \dots x_D$ (Ba, Kiros & Hinton
# 2016, arXiv 1607.06450):
#
# $$y_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \cdot w_i + b_i \qquad
# \mu = \frac{1}{D}\sum_i x_i \qquad \sigma^2 = \frac{1}{D}\sum_i (x_i - \mu)^2$$
#
# Weight $w$ and bias $b$ are learned, one number for each column. $\varepsilon$ is a small number
# that keeps a token of equal numbers from becoming 0 / 0. Keep an eye on it: it will turn up again.
#
# **By hand**: (1, 3, 5, 7), $w = 1$, $b = 0$. Mean 4, deviations −3, −1, 1, 3, variance
# (9 + 1 + 1 + 9) / 4 = 5. With √5 = 2.236: (−1.34, −0.45, 0.45, 1.34).
#
# **Write `layer_norm` in [`mha_lib/block.py`](../mha_lib/block.py).**
#
# [hints: block.layer_norm]

# %% nbgrader={"grade": true, "grade_id": "block-layer_norm"}
check("block.layer_norm")

# %%
needs("block.layer_norm")
tokens = torch.tensor([[1.0, 3, 5, 7], [1001, 1003, 1005, 1007], [10, 30, 50, 70], [2, 2, 2, 2]])
for token, normed in zip(
    tokens, block.layer_norm(tokens, torch.ones(4), torch.zeros(4)), strict=True
):
    print(f"{token.tolist()!s:32} -> " + "  ".join(f"{value:6.3f}" for value in normed.tolist()))

# %% [markdown]
# Shifted or scaled, a token comes out the same: where the norm stands, how loud the stream was
# does not matter any more, only its direction does.
#
# ## Build 2: feed_forward
#
# $$\mathrm{FFN}(x) = \mathrm{GELU}(x\,W_{in} + b_{in})\,W_{out} + b_{out}$$
#
# (…, D) → (…, F) → (…, D), with F = 4·D as a rule. $\mathrm{GELU}(z) = z \cdot \Phi(z)$ with the
# distribution function Φ of the normal distribution (Hendrycks & Gimpel 2016, arXiv 1606.08415).
# The paper of 2017 has ReLU in its place.
#
# **By hand**: D = 1, F = 2, x = 2, $W_{in}$ = (1, −1), $W_{out}$ = (1, 1)ᵀ, no biases.
# Φ(2) = 0.9772, so GELU(2) = 1.954 and GELU(−2) = −2 · 0.0228 = −0.046; the sum is 1.909.
#
# **Write `feed_forward` in [`mha_lib/block.py`](../mha_lib/block.py).**
#
# [hints: block.feed_forward]

# %% nbgrader={"grade": true, "grade_id": "block-feed_forward"}
check("block.feed_forward")

# %% [markdown]
# ## Build 3: transformer_block
#
# Put the parts together, both ways. `params` is a dictionary with sixteen tensors; the docstring
# has their names. One thing is new: the attention has **biases**, $q = x W_Q + b_Q$ and so on, and
# your `multi_head_attention` takes none. There are two good ways out; the hints name both.
#
# **By hand**, two cases that need no arithmetic. All of `w_o`, `b_o`, `w_out`, `b_out` are 0, so that
# neither sub-layer writes anything. Pre-norm: the block returns x as it is. Post-norm: it returns
# norm2(norm1(x)).
#
# **Write `transformer_block` in [`mha_lib/block.py`](../mha_lib/block.py).**
#
# [hints: block.transformer_block]

# %% nbgrader={"grade": true, "grade_id": "block-transformer_block"}
check("block.transformer_block")

# %% [markdown]
# ## Measure: where the parameters are
#
# The model of the second half of this notebook is **all-MiniLM-L6-v2**: 6 blocks, width 384,
# 12 heads. One of its blocks, counted:

# %%
encoder = load_encoder()
counts = blocks.count_parts(encoder.layers[0])
total = sum(counts.values())
for part, count in counts.items():
    print(f"{part:13} {count:10,}  {count / total:6.1%}")
print(f"{'a block':13} {total:10,}")

# %% jupyter={"source_hidden": true}
outcome(
    "block-share",
    1,
    f"{counts['attention'] / total:.1%}: four D × D matrices against two of D × 4·D. The norms have "
    f"{counts['norms'] / total:.1%}.",
)

# %% [markdown]
# 4·D² against 8·D². Eleven notebooks about heads, and two thirds of a block lie elsewhere. What
# each part *does* is not told by its size: only attention lets one token read another.
#
# ## Measure: pre-norm and post-norm before training
#
# Blocks with random weights, as on the first day of training. Nothing has been learned, so every
# difference is due to the wiring.
#
# ### Predict

# %%
predict(
    "block-stream",
    "The numbers in x start with a root mean square of 1. After 24 pre-norm blocks with random weights it is "
    "about …",
    ["1", "5", "24", "2 to the power of 24"],
)

# %%
predict(
    "block-gradient",
    "The gradient of the last block's feed-forward matrices, in a model of 48 blocks, against a model of 3. "
    "Where is it smaller?",
    [
        "With pre-norm only",
        "With post-norm only",
        "With both",
        "With neither",
    ],
)

# %% [markdown]
# ### Measure
#
# Ten seeds, live, a few seconds.

# %%
needs("block.layer_norm", "block.transformer_block")
depths = (3, 6, 12, 24, 48)
stream = blocks.measure_stream(block.transformer_block)
gradient = blocks.measure_last_gradient(block.transformer_block, block.layer_norm, depths)
fig, alt = blocks.plot_depth(stream, gradient, depths)
show(fig, alt=alt)
print("Lines: mean of ten seeds. Bands: from the lowest to the highest.")

# %% jupyter={"source_hidden": true}
needs("block.layer_norm", "block.transformer_block")
last = stream["pre-norm"][:, -1]
outcome(
    "block-stream",
    1,
    f"{last.min():.1f} to {last.max():.1f} over ten seeds; with post-norm {stream['post-norm'][:, -1].max():.2f}. "
    "Sizes of independent parts add up as the sides of a right-angled triangle do, so x grows about as √depth.",
)
fall = {way: rows[:, 0] / rows[:, -1] for way, rows in gradient.items()}
outcome(
    "block-gradient",
    0,
    f"Pre-norm: {fall['pre-norm'].min():.1f} to {fall['pre-norm'].max():.1f} times smaller at 48 blocks than at 3 "
    f"(√16 = 4). Post-norm: {fall['post-norm'].min():.2f} to {fall['post-norm'].max():.2f} times.",
)

# %% [markdown]
# With post-norm the stream has size 1 behind every block: that is what a norm does, no measurement
# needed. With pre-norm nothing holds it, it grows, and each further block adds a smaller share.
#
# The gradients match what Xiong et al. (2020, arXiv 2002.04745) **prove** for the start of training:
# with post-norm those near the output are large whatever the depth; with pre-norm they shrink. They
# conclude that post-norm needs a learning rate that starts small (warm-up) and pre-norm does not.
# What we **measured** is the first step of training and no more: not which model is better in the
# end, and not that the other one can't be trained. The model below is post-norm, and it was.
#
# ## Your code runs a real model
#
# all-MiniLM-L6-v2 turns a sentence into 384 numbers. It was trained on pairs of sentences, so that
# those which belong together get similar numbers (says its model card). Its files came with the
# course's installation; nothing is fetched.
#
# All that is not yours here: the tokenizer, the tables of embeddings, and the mean at the end.

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")


def embed(sentences, transformer_block, layer_norm, num_heads=12):
    """Sentences in, (B, 384) out; every row has length 1."""
    ids, lengths, _ = encoder.tokenize(sentences)  # (B, T), (B,)
    x = blocks.look_up(encoder, ids)  # (B, T, 384): word + position + type
    x = layer_norm(x, encoder.embeddings["weight"], encoder.embeddings["bias"])
    mask = attention.padding_mask(lengths, ids.shape[1])  # (B, 1, 1, T)
    for params in encoder.layers:
        x = transformer_block(x, params, num_heads, mask, norm_first=False)
    return pool(x, lengths)  # the mean over each sentence's tokens


theirs = encoder.sentence_embeddings(blocks.SENTENCES)  # the same model, written without your code
mine = embed(blocks.SENTENCES, block.transformer_block, block.layer_norm)
print(f"{len(mine)} sentences, {mine.shape[1]} numbers each")
print(f"largest difference of a number: {(mine - theirs).abs().max():.1e}")
print(f"lowest cosine of yours and theirs: {(mine * theirs).sum(1).min():.7f}")

# %% [markdown]
# Your functions, from `softmax` up, run a model that people use. (`theirs` is an implementation of
# its own, and the course's tests hold it to the one in the `transformers` library.)
#
# But look at the difference: the fifth digit is not theirs.
#
# ### Predict

# %%
predict(
    "block-gap",
    "Where does the difference come from?",
    [
        "From float32: six layers add up their rounding errors",
        "From the extra column of ones, or from adding biases in another order",
        "From ε: your norm adds 1e-5 to the variance, the model was trained with 1e-12",
    ],
)

# %% [markdown]
# ### Measure
#
# The model's configuration says `"layer_norm_eps": 1e-12`. Give your parts that ε, first in the one
# norm behind the embeddings, then in all of them. (`post_norm_block` puts your functions together
# with a norm of our choice.)

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
its_norm = partial(block.layer_norm, eps=encoder.eps)
its_block = blocks.post_norm_block(heads.multi_head_attention, its_norm, block.feed_forward)
gaps = {
    "1e-5 in all norms": mine,
    "1e-12 behind the embeddings": embed(blocks.SENTENCES, block.transformer_block, its_norm),
    "1e-12 in all norms": embed(blocks.SENTENCES, its_block, its_norm),
}
for name, found in gaps.items():
    print(f"{name:28} largest difference {(found - theirs).abs().max():.1e}")
mine = gaps["1e-12 in all norms"]

ids, _, _ = encoder.tokenize(blocks.SENTENCES)
variance = blocks.look_up(encoder, ids).var(-1, correction=0)
print(
    f"\nvariance in front of the first norm: median {variance.median():.4f}, lowest {variance.min():.4f}"
)

# %% jupyter={"source_hidden": true}
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
sizes = {name: (found - theirs).abs().max().item() for name, found in gaps.items()}
outcome(
    "block-gap",
    2,
    f"With its own ε everywhere {sizes['1e-12 in all norms']:.0e} are left of "
    f"{sizes['1e-5 in all norms']:.0e}. The embeddings are quiet: beside a variance of "
    f"{variance.median():.4f}, 1e-5 is {1e-5 / variance.median():.1%}.",
)

# %% [markdown]
# A number that "only prevents a division by zero" is part of the model. Here it changed the fifth
# digit; with quieter numbers in front of a norm it changes more. So read it from the configuration:
# 1e-12 here and in BERT, 1e-5 in GPT-2. (Source: defaults of the configuration class in
# transformers.)
#
# ### Predict: what is not needed, and what goes unnoticed
#
# You made a prediction about the number of heads at the start. One more:

# %%
predict(
    "block-bias",
    "You set one of the attention's biases to 0 in all six layers. Which one changes nothing, up to rounding?",
    ["b_q", "b_k", "b_v", "b_o"],
)

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
for name in ("b_q", "b_k", "b_v", "b_o"):
    cosine = (blocks.without(encoder, name).sentence_embeddings(blocks.SENTENCES) * theirs).sum(1)
    print(
        f"without {name}: cosine with the right embedding {cosine.min():.4f} to {cosine.max():.4f}"
    )

six = (embed(blocks.SENTENCES, its_block, its_norm, num_heads=6) * theirs).sum(1)
print(f"6 heads of 64: cosine with the right embedding {six.min():.4f} to {six.max():.4f}")

# %% jupyter={"source_hidden": true}
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
outcome(
    "block-bias",
    1,
    "q · (k + b_k) = q · k + q · b_k: the second part is the same for every key of a row, and softmax does not "
    "see what is added to all scores of a row (notebook 1).",
)
outcome(
    "block-heads",
    2,
    f"Every shape fits, nothing complains, and the cosines fall to {six.min():.2f} to {six.max():.2f}. The number "
    "of heads is in no matrix; only the configuration knows it.",
)

# %% [markdown]
# ### Try it: the weights in your own code
#
# Six layers of twelve heads, computed just now by your functions from `softmax` up. Cut every layer
# into another number of heads, put on your causal mask, silence a head (your `ablate_heads` of
# [notebook 5](05_w_o_mixes.ipynb) leaves it out): all weights are computed anew, and the line above
# the maps says how far the output has moved.

# %%
needs("attention.causal_mask", "heads.split_heads", "heads.multi_head_attention")
needs("mixing.ablate_heads", "block.layer_norm", "block.feed_forward")
explore_own(
    heads.multi_head_attention,
    heads.split_heads,
    mixing.ablate_heads,
    "The bird flew home because it was tired.",
    layer_norm=partial(block.layer_norm, eps=encoder.eps),
    feed_forward=block.feed_forward,
    causal_mask=attention.causal_mask,
    head_counts=(1, 2, 3, 4, 6, 8, 12, 16, 24),
    lenses=[(3, 1)],
    asking="it",
)

# %% [markdown]
# ## A search by meaning
#
# 36 sentences, embedded by your code. A question is embedded too; what is found is the sentence
# with the largest dot product (all have length 1, so this is the cosine).
#
# ### Predict

# %%
predict(
    "block-search",
    "“How do I get my money back?” Which sentence is found?",
    [
        "The old film showed a truck full of counterfeit money",
        "Refunds are paid within five working days",
        "The bank raised its interest rates again",
    ],
)

# %%
predict(
    "block-opposite",
    "Which of three is nearest to “The court found him guilty.”?",
    ["The court found him not guilty", "He was convicted", "The judge sent him to prison"],
)

# %% [markdown]
# ### Measure

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
queries, meant = list(blocks.QUERIES), list(blocks.QUERIES.values())
scores = embed(queries, its_block, its_norm) @ mine.T  # (queries, sentences)
for query, row in zip(queries, scores, strict=True):
    best = row.topk(2)
    print(query)
    for score, number in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        print(f"   {score:5.2f}  {blocks.SENTENCES[number]}")

words = blocks.shared_words(queries, blocks.SENTENCES)
print(f"\nfound by meaning: {blocks.found(scores, meant).sum()} of {len(queries)}")
print(f"found by counting shared words: {blocks.found(words, meant).sum()} of {len(queries)}")
strangers = (words[torch.arange(len(queries)), meant] == 0).sum()
print(f"questions without a word in common with what was meant: {strangers}")

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
pairs = [
    ("The court found him guilty.", "The court found him not guilty."),
    ("The court found him guilty.", "He was convicted."),
    ("The court found him guilty.", "The judge sent him to prison."),
    ("The dog bites the man.", "The man bites the dog."),
    ("The film was excellent.", "What a wonderful movie."),
]
one, other = (embed([pair[i] for pair in pairs], its_block, its_norm) for i in range(2))
cosines = (one * other).sum(1).tolist()
for (first, second), cosine in zip(pairs, cosines, strict=True):
    print(f"{cosine:5.2f}  {first}  {second}")

# %% jupyter={"source_hidden": true}
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")
top = blocks.SENTENCES[scores[0].argmax()]
outcome(
    "block-search",
    1,
    f"The score of “{top}” is {scores[0].max():.2f}, with {words[0, scores[0].argmax()]} words in common. "
    f"The sentence that shares the word money got {scores[0, 1]:.2f}.",
)
outcome(
    "block-opposite",
    0,
    f"The opposite is nearest, with {cosines[0]:.2f} against {cosines[1]:.2f} and {cosines[2]:.2f}.",
)

# %% [markdown]
# All twelve questions find what was meant, some of them without a word in common. **Don't take this
# for a test of the model**: questions and sentences were written for this notebook, with each other
# in mind, and plain counting of words is a weak rival. What it shows is that your code carries the
# meaning that training has put into the weights.
#
# And it shows what such numbers are not. "Guilty" and "not guilty" are nearly alike to this model,
# and who bites whom hardly counts. It measures what sentences are *about*, more than what they say.
#
# ## Measure: how long it takes
#
# On this machine, one thread. "Fused" has the course's fast attention in place of yours (one kernel,
# no table of weights); the third runs the blocks that come with PyTorch.

# %%
needs("attention.padding_mask", "heads.multi_head_attention")
needs("block.layer_norm", "block.feed_forward", "block.transformer_block")


def through(its_block):
    """The model from embedded tokens on, with some block."""

    def run(batch):
        ids, lengths = batch
        x, mask = encoder.embed_tokens(ids), attention.padding_mask(lengths, ids.shape[1])
        for params in encoder.layers:
            x = its_block(x, params, encoder.num_heads, mask)
        return pool(x, lengths)

    return run


torch_layers = blocks.torch_layers(encoder)
versions = {
    "yours": through(
        blocks.post_norm_block(heads.multi_head_attention, block.layer_norm, block.feed_forward)
    ),
    "fused": through(
        blocks.post_norm_block(fused.multi_head_attention, block.layer_norm, block.feed_forward)
    ),
    "PyTorch's": lambda batch: blocks.run_torch(encoder, torch_layers, *batch),
}
batches = [encoder.tokenize(blocks.SENTENCES[:count])[:2] for count in (1, 12)]
times = splitting.measure_times(versions, batches, rounds=3)
fig, alt = splitting.plot_times(
    times, [f"B = {len(ids)}, T = {ids.shape[1]}, 1 thread" for ids, _ in batches]
)
show(fig, alt=alt)

# %% [markdown]
# All three multiply with the same matrices of 384 and 1536 columns. The sentences are short, so the
# T × T tables, which a fused kernel need not write, are small beside them. The ratios differ from
# machine to machine, and on a busy one from run to run.
#
# ### Longer texts
#
# The attention of the model's first layer alone, without biases, on random tokens: your function
# against the fused one, on the fastest device that PyTorch finds (a CPU with one thread). Before you run it: from T = 256 to
# T = 1024, how many times as much memory will each need?

# %%
needs("heads.multi_head_attention")
device = best_device()
w = [encoder.layers[0][f"w_{name}"].to(device) for name in "qkvo"]
two = {"yours": heads.multi_head_attention, "fused": fused.multi_head_attention}
layers = {name: lambda x, attend=attend: attend(x, *w, 12)[0] for name, attend in two.items()}
lengths = (64, 256, 1024)
inputs = [torch.randn(1, num_tokens, 384, device=device) for num_tokens in lengths]

print(f"on {device}; MiB in use at a time, at most")
for x in inputs:
    used = ", ".join(f"{n} {splitting.peak_memory(layer, x):6.1f}" for n, layer in layers.items())
    print(f"T = {x.shape[1]:4}: {used}")
times = splitting.measure_times(layers, inputs, rounds=2)
fig, alt = splitting.plot_times(times, [f"{device}, B = 1, T = {n}" for n in lengths])
show(fig, alt=alt)

# %% [markdown]
# Four times the tokens are sixteen times the pairs, and your function keeps tables with a number for
# each pair, since it returns the weights. The fused one goes through the keys block by block and keeps
# what it needs for the sum: its memory grows with T. The number of pairs that it computes grows with T²
# all the same, and so does the time, once T is large.
#
# ## Break it: which mistake made which picture?
#
# Three pairs of sentences; each pair says similar things, once in few words and once in many:

# %%
for number, sentence in enumerate(blocks.PAIRS):
    print(f"{number // 2 + 1} {'long ' if number % 2 else 'short'}  {sentence}")
fig, alt = blocks.plot_similarities(blocks.wrong_pictures(encoder))
show(fig, alt=alt)

# %% [markdown]
# One picture is right. Which is which? The cells with the quizzes are folded, since they hold the
# answers: select one and run it.

# %% jupyter={"source_hidden": true}
ways = [
    "right",
    "norm_first=True, although the model was trained post-norm",
    "1 head in place of 12",
    "the mean at the end takes the padding in",
]
quiz(
    "block-picture-a",
    "Picture A?",
    ways,
    answer=3,
    because="Short sentences have the most padding: they resemble each other, whatever they say.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "block-picture-b",
    "Picture B?",
    ways,
    answer=1,
    because="Everything resembles everything. The same numbers in the same shapes, wired another way: hardly "
    "anything shows of what was learned.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "block-picture-c",
    "Picture C?",
    ways,
    answer=0,
    because="The pairs stand out, and nothing else does.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "block-picture-d",
    "Picture D?",
    ways,
    answer=2,
    because="No error, and the pairs still show; but sentences that have nothing in common are up to half alike.",
)

# %% [markdown]
# ## Write it down
#
# A colleague ports a BERT-like encoder to new code. It runs, all shapes are right, and the
# embeddings of similar sentences are even a bit more alike than others. "Small differences to the
# original", she says, "are rounding."
#
# Say in about six sentences what you would look at, in which order, and what your measurements here
# tell about each.
#
# | 3 points | |
# |---|---|
# | 1 | compares with an independent implementation on numbers, and knows what rounding in float32 leaves here |
# | 1 | names two mistakes that raise no error (number of heads, place of the norm, padding, ε), with measurements |
# | 1 | says where such facts stand (the configuration, not the tensors' shapes), and tells large causes from small ones |

# %% [markdown] nbgrader={"grade": true, "grade_id": "block-note", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# I would run both codes on the same sentences, one of them padded, and look at the largest
# difference of a number. Rounding in float32 left about 2e-7 here, so anything above 1e-6 has
# another cause. Large causes first: with norm_first=True all sentences came out nearly alike, with
# 6 heads in place of 12 the cosine with the right embedding fell to 0.7 to 0.9, and a mean that
# takes padding in makes short sentences resemble each other; none of them raised an error, and with
# the last two, pairs still looked sensible. Then the small one: ε of 1e-5 in place of 1e-12 changed
# the fifth digit, because the embeddings in front of the first norm have a variance of about 0.005.
# Number of heads, ε and the place of the norms are in no tensor's shape: they have to be read from
# the configuration and from the code that the model was trained with. If only the difference of
# layer after layer is printed, the first layer that differs tells where to look.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "block-card-1",
    "Llama-2-7B: hidden size 4096, 32 heads with as many key and value heads, and a feed-forward network of three "
    "4096 × 11008 matrices. What share of a block's matrices is attention?",
    ["About one quarter", "About one third", "About one half"],
    answer=1,
    because="4 · 4096² = 67.1 million against 3 · 4096 · 11008 = 135.3 million. Three matrices, but narrower ones: "
    "the share is that of four times the width with two. Source: LitGPT's table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "block-card-2",
    "GPT-2's parameters are called h.0.ln_1, h.0.attn, h.0.ln_2, h.0.mlp and so on for each block, and there is one "
    "ln_f behind the last block. Pre-norm or post-norm?",
    [
        "Pre-norm: nothing has normalised the stream before, so one norm is left for the end",
        "Post-norm: a norm comes last",
        "The names can't tell anything about it",
    ],
    answer=0,
    because="A post-norm block ends with a norm of its own already. Source: the model's code in the transformers "
    "library.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "block-card-3",
    "all-MiniLM-L6-v2: hidden_size 384, num_attention_heads 12, num_hidden_layers 6, max_position_embeddings 512, "
    "max_seq_length 256. You embed a text of 400 tokens. What happens?",
    [
        "It is cut after 256 tokens",
        "An error, because 400 is more than 384",
        "All is read, since there are 512 positions",
    ],
    answer=0,
    because="The table has 512 positions, but the model is used with 256 tokens at most and the tokenizer cuts the "
    "rest off. The width has nothing to do with it. Source: the files of all-MiniLM-L6-v2.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("block")

# %% [markdown]
# ## What's next
#
# You have a **block**: (B, T, D) in, (B, T, D) out, a mask and a dictionary of tensors. From here
# on it can be a unit with a name, as a head was one in notebook 3. What a whole transformer needs
# besides is short to list: tables that turn tokens and positions into vectors (you looked into one
# here), L blocks, and something that reads the last stream: a mean, as here, or a matrix that
# predicts the next token, with a causal mask in every block. How such a model is trained is the
# subject of the next lesson; nothing in it changes what you have built.
#
# Run `progress()` in [notebook 0](00_start_here.ipynb) to see where you stand.
