# ---
# jupyter:
#   core_idea:
#     says: >-
#       A model card says how attention is cut: layers, query heads, key and value heads, and the
#       width of a head, which are four choices; experts stand beside them and are not heads.
#     explained: "Four fields"
#     measured: "Measure: the formula against real caches"
#     drawn: "What grows with the model, and what does not"
# ---

# %% [markdown]
# # 11 · Read a model card
#
# **A model is published with a page of numbers. Which of them say how its attention is built, and
# what do they say about what the model costs to run?**
#
# *About 50 minutes.* Everything you built in this course has a name in a configuration file, and
# mostly several. You write a reader that understands 44 published configurations, from GPT-2 to
# DeepSeek-V3, and use it to find what cannot be guessed from a model's size. Two functions:
#
# | function | what it does |
# |---|---|
# | `read_head_layout` | reads a configuration: layers, heads, widths, cache, experts |
# | `compare_cards` | says in words and numbers what a change in a card changes |
#
# You write them in **[`mha_lib/cards.py`](../mha_lib/cards.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import Dropdown

from attention_lab import model_cards
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import follow
from autograde import check, needs
from mha_lib import cards, sizing

# %% [markdown]
# ## Predict
#
# While a model writes, it keeps the keys and values of every token so far. That is the **KV
# cache**; in each layer one token adds a key and a value for every key and value head.

# %%
predict(
    "cards-largest",
    "Which of these four keeps the most bytes for one more token of text?",
    [
        "Llama-2-70B, with 70 billion parameters",
        "Falcon-40B, with 40 billion",
        "Gemma-7B, with 7 billion",
        "Qwen3-0.6B, with 0.6 billion",
    ],
)

# %%
predict(
    "cards-small",
    "Qwen3-0.6B has less than a tenth of the parameters of Falcon-7B. Its cache of a token is …",
    ["about a tenth of Falcon-7B's", "about as large", "more than ten times as large"],
)

# %%
predict(
    "cards-line",
    "Heads × width of a head = width of a token (12 × 64 = 768 in GPT-2). In how many of 44 "
    "published models is it so?",
    [
        "In all: heads are made that way",
        "In all but one or two",
        "In about three of four",
        "In half",
    ],
)

# %%
predict(
    "cards-32-to-8",
    "Somebody changes num_key_value_heads in Llama-2-7B's card from 32 to 8. What changes, besides "
    "that number itself?",
    [
        "The cache, and the name of the kind of attention",
        "The cache, and the number of attention patterns",
        "The cache, and the width of a head",
        "The width of a token",
    ],
)

# %% [markdown]
# ## Four fields
#
# A configuration is a small JSON file, `config.json`. Here are some as they are published, cut to
# what concerns attention and experts:

# %%
for name in ("GPT-2", "Llama-3.1-8B", "Gemma-7B", "Mixtral-8x7B"):
    print(f"{name}: {model_cards.card(name).config}")
    print(f"    ({model_cards.card(name).source})")

# %% [markdown]
# Four fields are read wrongly most often:
#
# - **`num_attention_heads`**: query heads in *one* layer. Each computes an attention pattern of its
#   own. It says nothing about depth; that is `num_hidden_layers`. The two get mixed up: in
#   `rasbt/LLMs-from-scratch`, issue 444, a reader takes the layers of GPT-2 XL for its heads, and
#   looks for the mistake in the attention class for hours.
# - **`num_key_value_heads`**: how many keys and values a layer makes. As many as query heads is
#   *multi-head attention* (MHA), one for all is *multi-query* (MQA), something between *grouped-query
#   attention* (GQA; Ainslie et al. 2023, arXiv 2305.13245). It is a number of heads and not the
#   size of a group. Where the field is missing, there are as many as query heads.
# - **`head_dim`**: width of one head. Where it is missing, it is `hidden_size` divided by the query
#   heads. Where it is there, it counts, and the heads together need not be as wide as a token.
# - **`num_local_experts`** (or `num_experts`, `n_routed_experts`): feed-forward networks of a layer,
#   from which a router chooses `num_experts_per_tok` for each token. Experts have no queries, keys
#   or values. They are not heads ([notebook 10](10_heads_are_not_experts.ipynb)).
#
# The rest is spelling, and four special families:
#
# | family | what is special |
# |---|---|
# | encoder-decoder (T5, BART, Whisper) | two numbers of layers; a decoder layer holds self- and cross-attention; only the decoder's self-attention has a cache that grows |
# | Falcon | `multi_query` overrules `num_kv_heads`, unless `new_decoder_architecture` is set |
# | latent attention, MLA (DeepSeek) | `kv_lora_rank`: a layer keeps one latent vector for a token, from which the keys and values of all heads are made again, and a piece of key that carries the position |
# | models that also see or hear | the language model's card lies inside, in `text_config` |
#
# ## Build 1: read_head_layout
#
# What one more token adds to the cache, at 2 bytes a number:
#
# $$\text{bytes} = 2 \cdot L_{\text{cache}} \cdot 2 \cdot h_{kv} \cdot d
# \qquad\text{or, with MLA,}\qquad
# 2 \cdot L_{\text{cache}} \cdot (r_{kv} + d_{rope})$$
#
# with $L_{\text{cache}}$ the layers that cache. The second 2 in the first formula is for a key *and*
# a value; MLA has none, since both are made from the one vector of $r_{kv}$ = `kv_lora_rank` numbers.
#
# **By hand.** `{"num_hidden_layers": 3, "hidden_size": 40, "num_attention_heads": 8,
# "num_key_value_heads": 2}`. A head is 40 / 8 = 5 wide; the 8 heads share 2 keys and values: GQA.
# 3 · 8 = 24 patterns. Cache: 2 · 3 · 2 · 2 · 5 = 120 bytes a token.
#
# The same card with `"kv_lora_rank": 6, "qk_nope_head_dim": 4, "qk_rope_head_dim": 3`: a head
# is 4 + 3 = 7 wide, the kind is MLA, and the cache is 2 · 3 · (6 + 3) = 54 bytes a token.
#
# **Write `read_head_layout` in [`mha_lib/cards.py`](../mha_lib/cards.py).** The names that models
# use are listed there, in `NAMES`. It is the longest function of the course, and no step of it is
# deep. Start with GPT-2 and let the check lead you from family to family.
#
# [hints: cards.read_head_layout]

# %% nbgrader={"grade": true, "grade_id": "cards-read_head_layout"}
check("cards.read_head_layout")

# %% [markdown]
# Now the 44 cards, read by your function:

# %%
needs("cards.read_head_layout")
every = model_cards.model_cards()
print(model_cards.table([one.name for one in every], cards.read_head_layout))
right = sum(cards.read_head_layout(one.config) == one.layout for one in every)
print(f"\n{right} of {len(every)} as written down beside the data")

# %% [markdown]
# Card by card, as your function reads it:

# %%
needs("cards.read_head_layout")
follow(
    partial(model_cards.plot_card, cards.read_head_layout),
    name=Dropdown(options=[one.name for one in model_cards.model_cards()], description="model"),
)

# %% [markdown]
# ## Measure: the formula against real caches
#
# A formula for bytes is easily wrong by a factor of two. So ten tiny models were made, with random
# weights, by the classes of the transformers library. Each ran on 5 and on 6 tokens, and the bytes
# of its cache were counted. (Recorded, since the library is no part of your installation:
# `python -m attention_lab.model_cards record` repeats it.)

# %%
needs("cards.read_head_layout")
print(f"{'classes of':13}{'kind':>6}{'read from the card':>20}{'measured':>10}")
for run in model_cards.measured_caches():
    layout = cards.read_head_layout(run.config)
    found = layout["kv_cache_bytes_per_token"]
    ratio = "" if found == run.bytes_per_token else f"   x {run.bytes_per_token / found:g}"
    print(f"{run.family:13}{layout['kind']:>6}{found:20}{run.bytes_per_token:10}{ratio}")

# %% [markdown]
# Nine agree to the byte. One does not: Falcon with `new_decoder_architecture` has 2 key and value
# heads for 6 query heads here, and this implementation copies them to all query heads *before* it
# stores them. A card says what an architecture *needs*; what a program *keeps* is up to the program.
# (Others may share the cache between sequences, or store it in fewer bits.) Nothing in the card told
# you; only measuring did.
#
# And your own machine? The keys and values of one token of three models, as tensors:

# %%
needs("cards.read_head_layout")
for name in ("Falcon-7B", "Qwen3-0.6B", "Llama-2-7B"):
    x = cards.read_head_layout(model_cards.card(name).config)
    kept = torch.zeros(
        x["num_layers"], 2, x["num_kv_heads"], x["head_dim"], dtype=torch.bfloat16
    )  # a key and a value for each head of each layer
    print(f"{name:11} {tuple(kept.shape)!s:17} {kept.nbytes:8,} bytes")

# %% [markdown]
# ## What grows with the model, and what does not

# %%
needs("cards.read_head_layout")
fig, alt = model_cards.plot_caches(every, cards.read_head_layout)
show(fig, alt=alt)
print(
    model_cards.factors(
        ["Falcon-7B", "Qwen3-0.6B", "Falcon-40B", "Llama-2-70B", "Gemma-7B"], cards.read_head_layout
    )
)

# %% jupyter={"source_hidden": true}
needs("cards.read_head_layout")
kib = {
    one.name: model_cards.cache_kib(cards.read_head_layout(one.config)) for one in every
}  # KiB a token
outcome(
    "cards-largest",
    2,
    f"KiB a token: Gemma-7B {kib['Gemma-7B']:g}, Llama-2-70B {kib['Llama-2-70B']:g}, Falcon-40B "
    f"{kib['Falcon-40B']:g}, Qwen3-0.6B {kib['Qwen3-0.6B']:g}.",
)
outcome(
    "cards-small",
    2,
    f"{kib['Qwen3-0.6B']:g} KiB against {kib['Falcon-7B']:g} KiB: "
    f"{kib['Qwen3-0.6B'] / kib['Falcon-7B']:g} times as large.",
)

# %% [markdown]
# Parameters do not appear in the formula. What counts is layers × key and value heads × width of a
# head, and designers choose these three freely:
#
# - **Qwen3-0.6B against Falcon-7B**: similar depth, but 8 key and value heads of 128 against one of
#   64. The small model keeps more for every token.
# - **Llama-2-70B against Gemma-7B**: more layers, a wider model, four times the query heads, and yet a
#   smaller cache, since the large one has 8 key and value heads of 128 where the small one has 16 of 256.
# - Within MHA and within GQA the cache does tend to grow with the model, with exceptions; the three
#   MQA models go the other way. It is above all the *kind* that moves a model up or down.
#
# The picture leaves out what a card can say besides: some layers of Gemma-2, Gemma-3 and gpt-oss
# look back over a limited window only, so that their share of the cache stops growing. Your reader
# counts every layer alike; for long texts it overestimates such models.
#
# ### Experts, once more
#
# Mixtral-8x7B has eight experts in each layer where Mistral-7B has one feed-forward network. Every
# number about attention is the same, the cache too:

# %%
needs("cards.read_head_layout")
print(model_cards.table(["Mistral-7B", "Mixtral-8x7B"], cards.read_head_layout))

# %% [markdown]
# ## Build 2: compare_cards
#
# A card is best read against another one. The function returns a line for every entry of the layout
# that changes, and none for what stays.
#
# **By hand**: from 12 layers to 32, `"layers: 12 -> 32 (x 2.667)"`; from MHA to GQA, `"kind of
# attention: MHA -> GQA"`. The exact form stands in the docstring, since a program reads your lines.
#
# **Write `compare_cards` in [`mha_lib/cards.py`](../mha_lib/cards.py).**
#
# [hints: cards.compare_cards]

# %% nbgrader={"grade": true, "grade_id": "cards-compare_cards"}
check("cards.compare_cards")

# %% [markdown]
# ## From 32 to 8

# %%
before = model_cards.card("Llama-2-7B").config
after = {**before, "num_key_value_heads": 8}

# %%
needs("cards.compare_cards")
print("\n".join(cards.compare_cards(before, after)))

# %% jupyter={"source_hidden": true}
needs("cards.compare_cards")
changed = [line.split(":")[0] for line in cards.compare_cards(before, after)]
outcome(
    "cards-32-to-8",
    0,
    f"Your function lists: {', '.join(changed)}. All 32 query heads still compute a pattern each, "
    "and a head is as wide as before.",
)

# %% [markdown]
# Three lines. What is *not* listed is as telling: layers, width, query heads, width of a head,
# patterns. Two more things change that the layout has no entry for. One is parameters: the matrices
# $W_K$ and $W_V$ shrink to a quarter.

# %%
needs("cards.read_head_layout", "sizing.count_attention_parameters")
for config in (before, after):
    x = cards.read_head_layout(config)
    count = sizing.count_attention_parameters(
        x["d_model"], x["num_heads"], x["num_kv_heads"], x["head_dim"]
    )
    print(f"{x['num_kv_heads']:2} key and value heads: {count:,} parameters in a layer's attention")

# %% [markdown]
# The other is what the model can express; whether that is missed is a question for measurements. Ainslie
# et al. (2023) find GQA close to multi-head attention in quality, at nearly the speed of multi-query
# attention, after some further training (abstract). Editing the number in a card is not enough: the
# weights must fit.
#
# ### A default is not a checkpoint
#
# Libraries have a class for each family of models, whose settings have defaults, and whose
# documentation names a model. It is tempting to read the defaults as that model's card. Compare:

# %%
needs("cards.compare_cards")
for default in model_cards.class_defaults():
    print(f"{default.name}() -> {default.card}  (its documentation names {default.names})")
    try:
        lines = cards.compare_cards(default.config, model_cards.card(default.card).config)
    except ValueError as error:
        lines = [f"the default is no complete card: {error}"]
    print("    " + "\n    ".join(lines))

# %% [markdown]
# So read the file that lies beside the weights. (Some defaults do agree with the model they name;
# where this course's data uses one, it says so in the row's source. Those of one class,
# `GptOssConfig`, agree with a larger model than the documentation names.)
#
# ## Heads that do not fill the width

# %%
needs("cards.read_head_layout")
fig, alt = model_cards.plot_widths(every, cards.read_head_layout)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
needs("cards.read_head_layout")
layouts = {one.name: cards.read_head_layout(one.config) for one in every}
on_line = sum(x["num_heads"] * x["head_dim"] == x["d_model"] for x in layouts.values())
outcome(
    "cards-line",
    2,
    f"In {on_line} of {len(every)}: {on_line / len(every):.0%}. (The cards were picked to show many "
    "designs, so this is no statistic of all models.)",
)

# %% [markdown]
# $W_Q$ is (D, h·d) and $W_O$ is (h·d, D): nothing forces h·d = D. Below the line is mT5-small, with
# heads narrower together than a token; far above it T5-11B, with heads 16 times as wide as one.
# Where `head_dim` is given, dividing `hidden_size` by the heads gives a wrong answer without any
# error. Qwen3-0.6B, Gemma-7B and mT5-small:

# %%
needs("cards.read_head_layout")
for name in ("Qwen3-0.6B", "Gemma-7B", "mT5-small"):
    x = layouts[name]
    print(
        f"{name:11} {x['num_heads']:2} heads x {x['head_dim']:3} = {x['num_heads'] * x['head_dim']:4}, "
        f"D = {x['d_model']:4}; D / h would be {x['d_model'] / x['num_heads']:.5g}"
    )

# %% [markdown]
# DeepSeek's models lie far off as well, for another reason: their keys are made from a small latent
# vector, so many wide heads cost little memory. That is what the cache of their cards shows: with 128
# full heads it would be much larger.
#
# ## Odd one out
#
# Four cards each, as published. One does not belong. Read them yourself first; the questions are in
# the folded cells below, and your reader checks you afterwards.

# %%
groups = (
    ("Mistral-7B", "Llama-3.1-8B", "Mixtral-8x7B", "Qwen3-8B"),
    ("Falcon-7B", "Gemma-2B", "Falcon-40B", "Gemma-3-1B"),
    ("BERT-base", "GPT-2", "ViT-B/16", "DistilBERT"),
)
for number, names in enumerate(groups, 1):
    print(f"Group {number}")
    for name in names:
        print(f"  {name}: {model_cards.card(name).config}")

# %% jupyter={"source_hidden": true}
quiz(
    "cards-odd-1",
    "Group 1: which one keeps another number of bytes for a token than the other three?",
    ["Mistral-7B", "Llama-3.1-8B", "Mixtral-8x7B, because of its experts", "Qwen3-8B"],
    answer=3,
    because="Heads and widths are equal in all four. Qwen3-8B has 36 layers instead of 32, so 144 KiB "
    "instead of 128. Experts keep nothing. Source: model_cards.json.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-odd-2",
    "Group 2: in which one do the query heads not all share a single key and value head?",
    ["Falcon-7B", "Gemma-2B", "Falcon-40B", "Gemma-3-1B"],
    answer=2,
    because="Falcon-40B says `multi_query` too, but its `new_decoder_architecture` has 8 key and value "
    "heads: GQA. The name of a field is not its meaning. Source: model_cards.json.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-odd-3",
    "Group 3: twelve heads in all of them. Which one does not compute 144 patterns?",
    ["BERT-base", "GPT-2", "ViT-B/16", "DistilBERT"],
    answer=3,
    because="6 layers of 12 heads: 72. The other three have one card, although the first reads text, "
    "the second writes it and the third looks at pictures. (Only GPT-2 generates, so only GPT-2 has a "
    "cache.) Source: model_cards.json.",
)

# %%
needs("cards.read_head_layout")
for number, names in enumerate(groups, 1):
    print(f"Group {number}\n{model_cards.table(names, cards.read_head_layout)}\n")

# %% [markdown]
# ## Break it: which wrong reading made which picture?
#
# Eight cards, four readers with one mistake each. The bars show what they say about the cache,
# divided by the right value; 1 means that the mistake does not show in that card.

# %%
needs("cards.read_head_layout")
fig, alt = model_cards.plot_readings(model_cards.wrong_readings(cards.read_head_layout))
show(fig, alt=alt)

# %% [markdown]
# Which is which? The cells with the quizzes are folded, since they hold the answers: select one and
# run it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "hidden_size / heads, although head_dim is given",
    "as many key and value heads as query heads",
    "the cache multiplied by the experts",
    "latent attention counted as full keys and values of all heads",
]
quiz(
    "cards-picture-a",
    "Picture A?",
    mistakes,
    answer=1,
    because="It goes wrong in the four cards with shared keys and values, by the size of a group: 4, 4, 71, 2.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="Only the two cards whose head_dim is not D / h are hit, and both come out too small: 192 "
    "instead of 256, and 64 instead of 128.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-picture-c",
    "Picture C?",
    mistakes,
    answer=3,
    because="DeepSeek-V3 alone: 2 · 128 · 192 numbers instead of 512 + 64, a factor of 85.3.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-picture-d",
    "Picture D?",
    mistakes,
    answer=2,
    because="The two cards with experts, and the factor is their number: 8 and 256.",
)

# %% [markdown]
# A fifth mistake makes no picture, thanks to your checks. GPT-2 XL with layers and heads in each
# other's place:

# %%
needs("cards.read_head_layout")
right_way = model_cards.card("GPT-2 XL").config
swapped = {**right_way, "n_layer": right_way["n_head"], "n_head": right_way["n_layer"]}
print(right_way, "->", cards.read_head_layout(right_way)["head_dim"], "wide")
try:
    cards.read_head_layout(swapped)
except ValueError as error:
    print(swapped, "-> ValueError:", error)

# %% [markdown]
# With GPT-2 itself, 12 layers of 12 heads, the same mistake would go unseen for ever.
#
# ## Write it down
#
# A colleague plans a service where many people chat with long texts: "We replace Falcon-7B by
# Qwen3-0.6B. It is less than a tenth of the size, so each conversation takes less than a tenth of
# the memory."
#
# Answer in about six sentences, with numbers from the cards.
#
# | 3 points | |
# |---|---|
# | 1 | separates the memory of the weights (shared by all, smaller indeed) from that of a conversation, and computes the latter for both |
# | 1 | names the fields that decide, with their values, and says that parameters are not among them |
# | 1 | says what the card does *not* tell (such as quality, what the program keeps, or how many bits), or what to check before deciding |

# %% [markdown] nbgrader={"grade": true, "grade_id": "cards-conversation", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# The weights do get smaller, and all conversations share them. What grows with each conversation is
# the KV cache, and that is decided by layers, key and value heads and head_dim, not by parameters.
# Falcon-7B: 32 layers, 1 key and value head of width 64, so 2 · 32 · 2 · 1 · 64 = 8192 bytes a token.
# Qwen3-0.6B: 28 layers, 8 of them of width 128, so 2 · 28 · 2 · 8 · 128 = 114688 bytes a token, 14 times
# as much. A text of 10,000 tokens would take about 82 MB with the first and about 1.1 GB with the
# second. So with many long conversations the small model may need more memory than the large one.
# The card does not say how good the answers are, whether the program stores the cache at 2 bytes a
# number or in fewer bits, or whether it keeps exactly the key and value heads (one of the measured
# implementations keeps more). I would measure the memory of one conversation with both before
# deciding.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "cards-card-1",
    "gpt-oss-120b: hidden_size 2880, 64 heads, head_dim 64, 8 key and value heads. What is the shape of "
    "the matrix W_O, and that of W_K?",
    [
        "(2880, 2880) and (2880, 2880)",
        "(4096, 2880) and (2880, 512)",
        "(4096, 4096) and (2880, 4096)",
        "(2880, 4096) and (512, 512)",
    ],
    answer=1,
    because="W_O is (h·d, D) with 64 · 64 = 4096, and W_K is (D, h_kv·d) with 8 · 64 = 512. Source: "
    "model_cards.json.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-card-2",
    "DeepSeek-V3's card says num_key_value_heads 128 and head_dim 64. What do the two say about its cache?",
    [
        "128 keys and values of width 64 are kept",
        "128 keys and values of width 192 are kept",
        "Nothing: 512 + 64 numbers are kept for a token and layer, whatever they say",
    ],
    answer=2,
    because="`kv_lora_rank` 512 and `qk_rope_head_dim` 64 decide. A head is 128 + 64 = 192 wide in this "
    "model. Source: model_cards.json.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "cards-card-3",
    "Blenderbot-3B: 2 encoder and 24 decoder layers, 32 heads. How many attention patterns for a text and "
    "its answer, and how many layers keep a cache that grows?",
    [
        "26 · 32 = 832 patterns, 26 layers",
        "(2 + 2 · 24) · 32 = 1600 patterns, 24 layers",
        "(2 + 2 · 24) · 32 = 1600 patterns, 50 layers",
        "24 · 32 = 768 patterns, 24 layers",
    ],
    answer=1,
    because="A decoder layer holds self-attention and cross-attention; only its self-attention sees new "
    "tokens come in. Source: model_cards.json.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("cards-")

# %% [markdown]
# ## What's next
#
# Four numbers describe a model's attention, and none of them can be computed from its parameters:
# layers, query heads, key and value heads, width of a head. Experts describe another part. What a
# program makes of a card has to be measured. In the last notebook, [notebook 12](12_the_block_and_a_real_model.ipynb), your own functions run a real
# model whose card you can read now. Run `progress()` in [notebook 0](00_start_here.ipynb) to see
# where you stand.
