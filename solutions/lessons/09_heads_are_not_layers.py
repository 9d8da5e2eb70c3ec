# ---
# jupyter:
#   core_idea:
#     says: >-
#       Heads of a layer work side by side on the same input, layers one after the other: 12
#       layers of 12 heads are 144 attention patterns, but a chain of 12.
#     explained: "A grid with a direction"
#     measured: "Train both"
#     drawn: "Look inside"
# ---

# %% [markdown]
# # 9 · Heads are not layers
#
# **Is a model with more heads in a layer a deeper model? Are eight heads side by side worth two
# layers?**
#
# *About 50 minutes.* "12 heads, 12 layers" stands on many model cards, and the two numbers are
# easily taken for the same sort of thing. Heads of a layer read the same input and do not wait for
# each other. A layer reads what the layer before has written. You build a stack, count what it
# computes, and watch a task that takes two steps. Three functions:
#
# | function | what it does |
# |---|---|
# | `count_attention_computations` | how many attention patterns a model computes |
# | `attention_stack` | layers on top of each other, with residual connections |
# | `induction_score` | how much a head looks behind the previous copy of a token |
#
# You write them in **[`mha_lib/layers.py`](../mha_lib/layers.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde

from attention_lab import depth, splitting
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import Part, click_axes, explore_stacks
from autograde import check, needs
from mha_lib import layers

# %% [markdown]
# ## Predict

# %%
predict(
    "layers-count",
    "GPT-2 has 12 layers of 12 heads. How many attention patterns (T × T tables of weights) does it "
    "compute for one sequence?",
    ["12", "24", "144", "12 to the power of 12"],
)

# %%
predict(
    "layers-reach",
    "You change head 0's W_V in layer 0. Whose attention pattern changes?",
    [
        "That of every other head",
        "That of the other heads of layer 0 only",
        "That of heads in later layers only",
        "Nobody's: W_V has no part in any pattern",
    ],
)

# %% [markdown]
# ## A grid with a direction
#
# A model's heads make a grid. Its two sides are not alike:

# %%
fig, alt = depth.plot_grid(12, 12)
show(fig, alt=alt)

# %% [markdown]
# **Side by side.** All heads of a layer read the same x. None sees what another has found; their
# writes are added up at the end ([notebook 5](05_w_o_mixes.ipynb)).
#
# **On top of each other.** Layer 1 reads what layer 0 has written, so its queries and keys can be
# made of what was *found*, not only of what stood there.
#
# ## Build 1: count_attention_computations
#
# Every layer has heads of its own, and every head computes a pattern of its own. In the
# encoder-decoder of Vaswani et al. (2017, arXiv 1706.03762, section 3.1) a decoder layer holds
# **two** attentions: self-attention, and cross-attention to what the encoder has made. So
#
# $$n = (L + 2 \cdot L_{decoder}) \cdot h$$
#
# where $L$ counts the layers with one attention each: those of an encoder, or of a decoder-only
# model such as GPT-2.
#
# **By hand**: an encoder of 2 layers and a decoder of 1, 3 heads each: (2 + 2 · 1) · 3 = 12.
#
# **Write `count_attention_computations` in [`mha_lib/layers.py`](../mha_lib/layers.py).**
#
# [hints: layers.count_attention_computations]

# %% nbgrader={"grade": true, "grade_id": "layers-count_attention_computations"}
check("layers.count_attention_computations")

# %%
needs("layers.count_attention_computations")
gpt2 = layers.count_attention_computations(12, 12)
original = layers.count_attention_computations(6, 8, decoder_layers=6)
print(f"GPT-2, 12 layers of 12 heads:                 {gpt2}")
print(f"Vaswani et al. 2017, base, 6 + 6 layers of 8: {original}")

# %% jupyter={"source_hidden": true}
needs("layers.count_attention_computations")
outcome(
    "layers-count",
    2,
    f"12 · 12 = {layers.count_attention_computations(12, 12)}. Not 24: layers and heads are not added.",
)

# %% [markdown]
# Two quite different models, one count. And 144 is not a depth: GPT-2's longest chain in which one
# attention waits for another has 12 links. Nor is it a number of jobs: heads share a layer's width
# out ([notebook 6](06_how_many_heads.ipynb)).
#
# ## Build 2: attention_stack
#
# Layers with residual connections, nothing else: no normalisation, no feed-forward network.
#
# $$x_{l+1} = x_l + \mathrm{MultiHead}_l(x_l)$$
#
# **By hand.** One token, D = 1, all projections 1: attention over one token returns that token.
# From $x_0 = 3$: $x_1 = 3 + 3 = 6$, $x_2 = 6 + 6 = 12$.
#
# **Write `attention_stack` in [`mha_lib/layers.py`](../mha_lib/layers.py).** `layers` is a list of
# dictionaries with the keys `w_q`, `w_k`, `w_v`, `w_o`.
#
# [hints: layers.attention_stack]

# %% nbgrader={"grade": true, "grade_id": "layers-attention_stack"}
check("layers.attention_stack")

# %% [markdown]
# ## Measure: who depends on whom?
#
# Three layers of four heads with random weights. Head 0's $W_V$ in layer 0 is doubled. How much
# does each head's pattern change?

# %%
needs("layers.attention_stack")
x, stack = depth.random_stack(num_layers=3, num_heads=4)
_, before = layers.attention_stack(x, stack, 4)  # (L, B, h, T, T)
_, after = layers.attention_stack(x, depth.double_values(stack, 4), 4)
moved = (after - before).abs().amax((1, 3, 4))  # (L, h)
for number, row in enumerate(moved.tolist()):
    print(f"layer {number}: " + "  ".join(f"head {i} {change:.3f}" for i, change in enumerate(row)))

# %% jupyter={"source_hidden": true}
needs("layers.attention_stack")
outcome(
    "layers-reach",
    2,
    f"Largest change of a weight in layer 0: {moved[0].max():.1g}; in layers 1 and 2 at least "
    f"{moved[1:].min():.3f} in every head.",
)

# %% [markdown]
# The zeros of layer 0 are exact and hold for any weights: no head of a layer has another head's
# output among its inputs. That other heads *can* use what was found is what a second layer is for.
#
# ### Try it: what waits, what runs at once
#
# The same test for every head of four layers of six: double its $W_V$, run your `attention_stack`, and
# see whose pattern moved. Click a head or a whole layer. What it moves comes **after** it; what moves
# it comes **before** it; the rest can run **at once** with it.

# %%
needs("layers.attention_stack")
click_axes(
    [Part("head", layer, head) for layer in range(4) for head in range(6)],
    depth.reach_of_heads(layers.attention_stack, num_layers=4, num_heads=6),
    title="Heads and layers: what waits for what",
    chosen=Part("head", 1, 2),
)

# %% [markdown]
# One direction of the grid is a chain of four links, the other is none. A layer as a whole has
# nothing to run at once with.
#
# ## A task that takes two steps
#
# A sequence shows 12 different tokens, out of 16, in random order. After that, pairs of neighbours
# are copied from it, in any order (and a token alone now and then):
#
# `K C A P E M …   A P   C A   E M   M   A P …`
#
# At the first token of a pair, the second is asked for: after `A` comes `P`. To answer, one has to
# **find** where `A` stood first, and then **move on** by one token. Olsson et al. (2022, arXiv
# 2209.11895) call a head that does this an *induction head*. How far back the answer stands changes
# from pair to pair.
#
# Two models, equal in width (64) and in parameters, attention only:
#
# - **one layer of 8 heads**, each of width 16;
# - **two layers of 1 head**, of width 64.
#
# ### Predict
#
# Guessing among the eleven tokens that stood behind another one is right in 1 of 11 cases, 0.09.

# %%
predict(
    "layers-wide",
    "One layer of 8 heads, trained for 400 steps. Its accuracy?",
    ["Below 0.3", "0.3 to 0.9", "Above 0.9"],
)

# %%
predict(
    "layers-deep",
    "Two layers of a single head each, trained for 400 steps. Its accuracy?",
    ["Below 0.3", "0.3 to 0.9", "Above 0.9"],
)

# %% [markdown]
# ### Train both
#
# Every layer runs in your `attention_stack`. Some seconds each; stop whenever you like (Kernel >
# Interrupt). Longer: `steps=2000`.

# %%
needs("layers.attention_stack")
live, trained = [], {}
for num_layers, num_heads, head_dim in ((1, 8, 16), (2, 1, 64)):
    run, model = depth.train_depth(
        num_layers, num_heads, head_dim, attend=layers.attention_stack, seed=100, steps=400
    )
    live.append(run)
    trained[num_layers] = model
    print(f"{num_layers} x {num_heads}: {run.parameters:,} parameters, accuracy {run.accuracy:.3f}")

# %% [markdown]
# One seed proves little. Ten are recorded for each model, and for three controls
# (`python -m attention_lab.depth record` repeats them):
#
# - **five times longer**: was one layer only slow?
# - **without positions**: are two layers enough by themselves?
# - **one piece, same distance**: the 12 tokens are simply repeated as a whole, so the answer always
#   stands 11 tokens back. Is one layer unable to learn anything at all?

# %%
needs("layers.attention_stack")
recorded = depth.recorded_runs()
fig, alt = depth.plot_runs(recorded, live)
show(fig, alt=alt)
print(depth.summary(recorded))

# %% jupyter={"source_hidden": true}
needs("layers.attention_stack")
wide, deep, longer, blind, fixed = (
    [run.accuracy for run in depth.runs_of(name, recorded)] for name in depth.SETTINGS
)
outcome(
    "layers-wide",
    0,
    f"{min(wide):.2f} to {max(wide):.2f} over {len(wide)} recorded seeds, and {min(longer):.2f} to "
    f"{max(longer):.2f} after five times as many steps.",
)
outcome(
    "layers-deep",
    2,
    f"{min(deep):.3f} to {max(deep):.3f} over {len(deep)} recorded seeds, with the same number of "
    "parameters.",
)

# %% [markdown]
# What these runs do and do not say:
#
# - Two layers of one head learned what one layer of eight heads did not, at the same number of
#   parameters. More training did not close the gap.
# - One layer is not stupid: when the answer always stands equally far back, position alone finds
#   it, and one layer learned that. It is the *two steps* that were missing.
# - Two layers alone are not the whole story either: without position embeddings they did worse.
#   "The token before" is a matter of position.
# - The failure of one layer is an **observation** on one task, one width, one learning rate. It is
#   no proof that no weights exist. (Olsson et al. 2022 report induction heads in models of two
#   layers and more.)
#
# ## Build 3: induction_score
#
# What happens inside? A test sequence makes it measurable: 12 tokens, and the same 12 again.
# The copy of token $t$ stands at $t - p$, with the period $p = 12$; what stood behind the copy, at
# $t - p + 1$. The score of a head is its mean weight there, over all rows that have a copy:
#
# $$\frac{1}{T-p} \sum_{t=p}^{T-1} A_{t,\;t-p+1}$$
#
# **By hand.** T = 5, p = 3, tokens `A B C A B`. Row 3 (the second `A`) looks at column 1 (`B`), row
# 4 at column 2. With weights 0.9 and 0.7 there, the score is 0.8.
#
# **Write `induction_score` in [`mha_lib/layers.py`](../mha_lib/layers.py).** One score a head: (h,),
# or (L, h) for a stack's weights; the batch is averaged over.
#
# [hints: layers.induction_score]

# %% nbgrader={"grade": true, "grade_id": "layers-induction_score"}
check("layers.induction_score")

# %% [markdown]
# ## Look inside
#
# ### Predict

# %%
predict(
    "layers-inside",
    "The trained model of two layers, one head each. In which layer does the head look at the token "
    "behind the first copy?",
    ["In layer 0", "In layer 1", "In both", "In neither"],
)

# %%
predict(
    "layers-without",
    "The W_O of layer 0 is set to zero; layer 1 stays as it is. The accuracy?",
    ["Hardly changes", "Falls to about one half", "Falls to about guessing"],
)

# %% [markdown]
# ### Measure

# %%
needs("layers.attention_stack", "layers.induction_score")
tokens, weights = depth.look(trained[2])  # (B, T) and (L, B, h, T, T)
induction = layers.induction_score(weights, period=depth.FIRST)  # (L, h)
previous = depth.previous_weight(weights)  # (L, h), over the first 12 rows
for number in range(2):
    print(
        f"layer {number}: weight on the token before {previous[number, 0]:.2f}, "
        f"induction score {induction[number, 0]:.2f}"
    )
fig, alt = depth.plot_patterns(
    tokens[0], weights[:, 0, 0], ["layer 0", "layer 1"], ["previous", "induction"]
)
show(fig, alt=alt)

# %% [markdown]
# Read it as two sentences. **Layer 0**, in the first twelve rows: every token looks at the one
# before it, and notes its name: "behind `A`". **Layer 1**, in the second copy: `A` looks for the
# token that carries the note "behind `A`", and copies it. The note is what layer 1's key is made
# of, and it did not exist before layer 0 had run. (The frames mark the places that were asked
# about. Layer 0's rows further down are not needed for this; they may look anywhere.)
#
# Is each of the two steps needed? Silence one layer at a time:

# %%
needs("layers.attention_stack", "layers.induction_score")
model = trained[2]
alone = [depth.accuracy(model, layers=depth.without_layer(model, number)) for number in range(2)]
print(f"both layers      {depth.accuracy(model):.3f}")
print(f"without layer 0  {alone[0]:.3f}")
print(f"without layer 1  {alone[1]:.3f}")

_, side_by_side = depth.look(trained[1])
eight = layers.induction_score(side_by_side, period=depth.FIRST)[0]  # (h,)
print("one layer, eight heads, induction scores: " + " ".join(f"{s:.2f}" for s in eight.tolist()))

# %% jupyter={"source_hidden": true}
needs("layers.attention_stack", "layers.induction_score")
ten = depth.runs_of("2 layers × 1 head", recorded)
outcome(
    "layers-inside",
    1,
    f"Scores {induction[0, 0]:.2f} in layer 0 and {induction[1, 0]:.2f} in layer 1. Over the ten recorded "
    f"seeds layer 1 has {min(r.induction[1] for r in ten):.3f} or more, and layer 0 has "
    f"{min(r.previous[0] for r in ten):.3f} or more on the token before.",
)
outcome(
    "layers-without",
    2,
    f"{alone[0]:.3f} here, and at most {max(r.without[0] for r in ten):.2f} over the ten recorded seeds. "
    "The two steps are a chain: neither layer got anywhere alone.",
)

# %% [markdown]
# ### Try it: both models, head by head
#
# A row is the token that looks, a letter a token. Heads are marked by the two scores of above. Look at
# layer 1, then silence the head of layer 0: your `attention_stack` runs anew. What is left of layer
# 1's pattern? Then take the other model, and silence what you like.

# %%
needs("layers.attention_stack", "layers.induction_score")
explore_stacks(
    {"two layers of one head": trained[2], "one layer of eight heads": trained[1]},
    layers.induction_score,
)

# %% [markdown]
# ## Break it: which way of looking made which picture?
#
# Five tokens and the same five again. Yellow: where the head looks (rows without such a place look
# at token 0).

# %%
fig, alt = splitting.plot_pictures(depth.wrong_patterns(), "key", "query")
show(fig, alt=alt)

# %% [markdown]
# Which is which? The cells with the quizzes are folded, since they hold the answers: select one
# and run it.

# %% jupyter={"source_hidden": true}
ways = [
    "an induction head",
    "a head that looks at the previous copy of the token itself",
    "a previous-token head",
    "off by one: the token before the previous copy",
]
quiz(
    "layers-picture-a",
    "Picture A?",
    ways,
    answer=1,
    because="Row 5 looks at 0: five back, its own copy. One step of two.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "layers-picture-b",
    "Picture B?",
    ways,
    answer=2,
    because="Row t looks at t - 1, whatever the period.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "layers-picture-c",
    "Picture C?",
    ways,
    answer=0,
    because="Row 5 looks at 1: behind the copy, t - 5 + 1.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "layers-picture-d",
    "Picture D?",
    ways,
    answer=3,
    because="Row 6 looks at 0, where its copy is at 1: the sign of the last step is wrong.",
)

# %% [markdown]
# ## Write it down
#
# A classmate says: "12 layers of 12 heads are 144 heads. So I can just as well build one layer of
# 144 heads; it computes the same number of attentions, and faster."
#
# Say in about six sentences what is right in this, what is wrong, and what you measured.
#
# | 3 points | |
# |---|---|
# | 1 | says what the count 144 does and does not tell (the number of patterns, not the length of a chain) |
# | 1 | says what a later layer can use that a head of the same layer cannot, with a measurement |
# | 1 | uses the two-step task with numbers, and says that the failure of one layer is an observation, no proof |

# %% [markdown] nbgrader={"grade": true, "grade_id": "layers-note", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# Right is the count: 12 · 12 = 144 patterns either way. And heads of one layer need not wait for
# each other, so one wide layer has a shorter chain. But the count says nothing about what an
# attention can read. When I changed a head's W_V in layer 0, no pattern of layer 0 changed, and
# every pattern of the later layers did: only a later layer's queries and keys can be made of what
# an earlier one found. In the task with copied pairs, one layer of eight heads stayed near
# guessing on all ten seeds, also after five times the training, while two layers of one head, with
# as many parameters, were right nearly always. There layer 0 noted the token before and layer 1
# looked for that note; without either the accuracy fell to guessing. That one layer failed is an
# observation on this task and this size; it does not prove that no weights could do it.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "layers-card-1",
    "DistilBERT: 6 layers, 12 heads; BERT-base: 12 layers, 12 heads, the same width. What is halved?",
    [
        "The heads of each layer",
        "The width of each head",
        "The layers, and with them the attention patterns: 72 against 144",
        "Only the feed-forward networks",
    ],
    answer=2,
    because="6 · 12 = 72. A head is 64 wide in both. Source: defaults of the configuration classes in "
    "transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "layers-card-2",
    "Whisper-tiny: 4 encoder and 4 decoder layers, 6 heads. How many attention computations?",
    ["24", "48", "72", "96"],
    answer=2,
    because="(4 + 2 · 4) · 6 = 72: a decoder layer holds self-attention and cross-attention. Source: default "
    "of the configuration class in transformers 5.24.0.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "layers-card-3",
    "Llama-3.1-405B: 126 layers, 128 heads. Llama-3-8B: 32 layers, 32 heads. By what factor is the longest "
    "chain of attentions longer in the larger one?",
    ["126 / 32, about 4", "128 / 32 = 4", "126 · 128 / (32 · 32), about 16"],
    answer=0,
    because="The chain is as long as there are layers. The number of patterns grows by about 16. Source: "
    "LitGPT's table of named checkpoints.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("layers")

# %% [markdown]
# ## What's next
#
# What is certain now: heads of a layer are independent of each other, layers are a chain, and the
# product of the two numbers is a count. That stacked heads learned what heads side by side did not
# is measured, on one task. (W_O's part in such a stack was the subject of [notebook
# 5](05_w_o_mixes.ipynb).) There is another number on model cards that looks like a number of heads:
# [notebook 10](10_heads_are_not_experts.ipynb) is about experts. Run `progress()` in [notebook
# 0](00_start_here.ipynb) to see where you stand.
