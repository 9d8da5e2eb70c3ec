# ---
# jupyter:
#   core_idea:
#     says: >-
#       Heads belong to attention and all of them work for every token; a mixture of experts
#       varies the feed-forward network, and a router picks a few experts for each token.
#     explained: "The other half of a block"
#     measured: "Measure: the 2 × 2 table"
#     drawn: "Who looks where"
# ---

# %% [markdown]
# # 10 · Heads are not experts
#
# **Mixtral has "8 experts" and 32 heads. Are experts a kind of heads?**
#
# *About 50 minutes.* Both words are used for parts of a layer that work side by side, and both
# suggest a panel of specialists. But a head belongs to attention and an expert to the feed-forward
# network. You build a mixture of experts, put heads and experts into one 2 × 2 table, and see
# what each of them can repair and what it cannot. Three functions:
#
# | function | what it does |
# |---|---|
# | `top_k_router` | chooses k experts for each token, with weights |
# | `moe_feed_forward` | a feed-forward network of E experts, k of them a token |
# | `count_moe_parameters` | how many numbers the layer holds, and how many a token uses |
#
# You write them in **[`mha_lib/experts.py`](../mha_lib/experts.py)**: click its name, drag the new
# tab beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde
from functools import partial

import torch
from ipywidgets import IntSlider, SelectionSlider
from torch.utils.flop_counter import FlopCounterMode

from attention_lab import heads_and_experts as lab
from attention_lab import lookups, splitting
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import Part, click_axes, follow
from autograde import check, needs
from mha_lib import experts, heads, layers, sizing

# %% [markdown]
# ## Predict

# %%
predict(
    "experts-cost",
    "A block is changed in two ways, one at a time: (a) 2 heads instead of 1, same d_model; (b) 8 experts "
    "instead of 1, each as large as the one was, and each token uses one of them. What happens to the "
    "parameters?",
    [
        "Both changes multiply those of the part concerned",
        "(a) leaves them as they are, (b) multiplies them",
        "(a) multiplies them, (b) leaves them as they are",
        "Both leave them as they are: the width is shared out",
    ],
)

# %%
predict(
    "experts-repair",
    "A token must look up the values of two other tokens, and it must answer from a table learned by "
    "heart. With one head and one small expert both go badly. What do 8 experts (and still one head) "
    "repair?",
    [
        "Both: eight specialists can do what one cannot",
        "The look-ups only",
        "The table only",
        "Neither",
    ],
)

# %% [markdown]
# ## The other half of a block
#
# So far you have built attention. A transformer block has a second part, the **feed-forward
# network** (FFN): two matrices with a nonlinear function between them, applied to every token on its
# own,
#
# $$\mathrm{FFN}(x) = \mathrm{GELU}(x\, W_{in})\, W_{out}, \qquad W_{in}: (D, F),\; W_{out}: (F, D).$$
#
# A **mixture of experts** (MoE) has E such networks, the experts, and a small matrix, the
# **router**, that decides for every token which k of them it goes through (Shazeer et al. 2017,
# arXiv 1701.06538). Attention stays what it was.
#
# | | head | expert |
# |---|---|---|
# | part of | attention | feed-forward network |
# | reads | all tokens that the mask allows | one token |
# | who works | all h heads, for every token | k of E, chosen anew for every token |
# | adding more | divides the same matrices up: d = D / h | adds matrices |
#
# That is the usual case, not a law of nature. (Zhang et al. 2022, arXiv 2210.05144, "Mixture of
# Attention Heads", do choose heads with a router; they had to change attention for it.)
#
# ## Build 1: top_k_router
#
# The router multiplies a token by $W_{gate}$, (D, E): one score for each expert. A softmax over the
# *experts* makes probabilities, and the k largest are kept.
#
# **By hand.** One token, E = 3, scores (2, 0, 1), k = 2.
#
# | | expert 0 | expert 1 | expert 2 | |
# |---|---|---|---|---|
# | exp(score) | 7.39 | 1 | 2.72 | sum 11.11 |
# | probability | 0.67 | 0.09 | 0.24 | sum 1 |
# | kept | 0.67 | | 0.24 | `renormalize=False` |
# | divided by 0.91 | 0.73 | | 0.27 | `renormalize=True` |
#
# So weights (0.73, 0.27) and indices (0, 2).
#
# **Write `top_k_router` in [`mha_lib/experts.py`](../mha_lib/experts.py).**
#
# [hints: experts.top_k_router]

# %% nbgrader={"grade": true, "grade_id": "experts-top_k_router"}
check("experts.top_k_router")

# %% [markdown]
# ## Build 2: moe_feed_forward
#
# Each token goes through its k experts; what they return is added up, with the router's weights
# (renormalised):
#
# $$\mathrm{MoE}(x) = \sum_{j=1}^{k} g_j \;\mathrm{GELU}(x\, W_{in}^{(e_j)})\, W_{out}^{(e_j)}$$
#
# **By hand**: if the token above gets 10 from expert 0 and 20 from expert 2 (D = 1), the layer
# returns 0.73 · 10 + 0.27 · 20 = 12.7. What expert 1 would say nobody computes.
#
# **Write `moe_feed_forward` in [`mha_lib/experts.py`](../mha_lib/experts.py).**
#
# [hints: experts.moe_feed_forward]

# %% nbgrader={"grade": true, "grade_id": "experts-moe_feed_forward"}
check("experts.moe_feed_forward")

# %% [markdown]
# ## Build 3: count_moe_parameters
#
# Two numbers describe a layer of experts: what must be stored, and what one token uses.
#
# **By hand**: D = 3, F = 5, E = 4, k = 1. An expert has 3 · 5 + 5 · 3 = 30 numbers, the router 3 ·
# 4 = 12. Total 4 · 30 + 12 = 132, active 30 + 12 = 42.
#
# **Write `count_moe_parameters` in [`mha_lib/experts.py`](../mha_lib/experts.py).**
#
# [hints: experts.count_moe_parameters]

# %% nbgrader={"grade": true, "grade_id": "experts-count_moe_parameters"}
check("experts.count_moe_parameters")

# %% [markdown]
# ## What an expert cannot see
#
# A block with 2 heads and 8 experts, random weights, 10 tokens. Change token 0 and look where the
# output of each part changes.

# %%
block = lab.Block(num_heads=2, num_experts=8)


def span(runs, kind):  # of recorded runs: lowest and highest
    found = [getattr(run, kind) for run in runs]
    return f"{min(found):.2f} to {max(found):.2f}"


# %%
needs("experts.moe_feed_forward")
x, _, _ = block.task.draw(1, torch.Generator().manual_seed(1))
changed = x.clone()
changed[0, 0] += 1

with torch.no_grad():
    through_heads = block.attention(changed)[0] - block.attention(x)[0]  # (1, T, D)
    through_experts = experts.moe_feed_forward(
        changed, block.w_gate, block.w_in, block.w_out, 2
    ) - experts.moe_feed_forward(x, block.w_gate, block.w_in, block.w_out, 2)
for name, difference in (("attention", through_heads), ("experts", through_experts)):
    moved = (difference[0].abs().amax(-1) > 1e-6).nonzero().flatten().tolist()
    print(f"{name:9}: the output changes at tokens {moved}")

# %% [markdown]
# This needs no training and holds for any weights: experts compute each token from that token
# alone, so however many there are, **no expert can look anything up**. And with the pattern fixed
# attention only takes weighted means of linear images of tokens; so **no head alone has the hidden
# units of a feed-forward network**. The next experiment has one task for each.
#
# ## Measure: the 2 × 2 table
#
# Each token is [name | two names asked for | value | symbol | 1]. Two kinds of answers are wanted:
#
# - **look-up**: the values of the two tokens asked for, as in notebook 2;
# - **table**: the answer to the token's symbol. There are 128 symbols, each with three signs drawn by
#   lot. Nothing to understand, much to remember.
#
# An answer counts when all three signs are right; guessing gives 1/8.
#
# **The block was built to separate the two.** Attention and feed-forward network stand in
# *parallel*: both read x, and a linear read-out sees x + attention + FFN. Queries and keys see only
# names. In most models the two stand one after the other; we come back to that.
#
# Sizes first, counted: parameters as stored, operations by PyTorch's counter, for one token.

# %%
print(f"D = {block.task.width}, one expert has {lab.HIDDEN} hidden units, one expert a token\n")
print("heads experts   attention: parameters, FLOPs   feed-forward: parameters, FLOPs")
costs = {}
for num_heads, num_experts in lab.SETTINGS:
    one = lab.Block(num_heads, num_experts)
    costs[num_heads, num_experts] = (*one.sizes(), *lab.flops_per_token(one))
    a, f, a_flops, f_flops = costs[num_heads, num_experts]
    print(f"{num_heads:5} {num_experts:7} {a:23,} {a_flops:7,} {f:24,} {f_flops:7,}")

# %%
needs("experts.count_moe_parameters")
total, active = experts.count_moe_parameters(block.task.width, lab.HIDDEN, 8, 1)
print(f"your count for 8 experts: {total:,} in total, {active:,} active;")
print(f"2 operations for each active one: {2 * active:,}")

# %% jupyter={"source_hidden": true}
a1, f1, _, w1 = costs[1, 1]
a2, f2, _, _ = costs[2, 1]
_, f8, _, w8 = costs[1, 8]
outcome(
    "experts-cost",
    1,
    f"With 2 heads attention has {a2:,} parameters, with 1 head {a1:,}. With 8 experts the feed-forward "
    f"network has {f8:,} instead of {f1:,}, 8 times as many and a router. A token's work there goes from "
    f"{w1:,} to {w8:,} operations, all of the increase being the router (large here, since the experts are "
    "tiny).",
)

# %% [markdown]
# Does *your* `moe_feed_forward` save the work? That is up to how you wrote it: right answers can also
# be had by computing all experts and throwing most away.

# %%
needs("experts.moe_feed_forward", "experts.count_moe_parameters")
x, _, _ = block.task.draw(16, torch.Generator().manual_seed(1))
for k in (1, 2, 8):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        experts.moe_feed_forward(x, block.w_gate, block.w_in, block.w_out, k)
    per_token = counter.get_total_flops() / (x.shape[0] * x.shape[1])
    _, active = experts.count_moe_parameters(block.task.width, lab.HIDDEN, 8, k)
    print(f"k = {k}: {per_token:6,.0f} operations a token, 2 · active = {2 * active:,}")

# %% [markdown]
# Now train all four, with your router: a short run of each (400 steps), then ten recorded seeds of
# 600 steps (`python -m attention_lab.heads_and_experts record` repeats them).

# %%
needs("experts.top_k_router")
live, blocks = [], {}
for num_heads, num_experts in lab.SETTINGS:
    run, net = lab.train_block(
        num_heads, num_experts, router=experts.top_k_router, seed=100, steps=400
    )
    live.append(run)
    blocks[num_heads, num_experts] = net
    print(
        f"heads {num_heads}, experts {num_experts}: look-up {run.lookup:.2f}, table {run.table:.2f}"
    )

# %%
needs("experts.top_k_router")
recorded = lab.recorded_table()
fig, alt = lab.plot_two_by_two(live, recorded)
show(fig, alt=alt)
print(lab.summary(recorded))

# %% jupyter={"source_hidden": true}
few = lab.select(lab.recorded_table(), heads=1, experts=1)
more = lab.select(lab.recorded_table(), heads=1, experts=8)

outcome(
    "experts-repair",
    2,
    f"One head throughout, {len(more)} recorded seeds each. Table: {span(few, 'table')} with one expert, "
    f"{span(more, 'table')} with eight. Look-ups: {span(few, 'lookup')} with one expert, "
    f"{span(more, 'lookup')} with eight.",
)

# %% [markdown]
# Down a column and along a row: the second head repairs the look-ups and leaves the table alone;
# the eight experts repair the table and leave the look-ups alone. (One head is not at 1/8 on the
# look-ups: it finds one of the two, and guesses the other.) Part of the reason is exact. Queries and keys
# see names only, so one head is one blend for each token, and a linear read-out of one blend leaves
# half the variance of two values that lie in other tokens: your `unexplained_floor(1, 2)` of notebook
# 2. Experts see nothing but their own token and cannot change that. (That is variance; the
# accuracies are measured.)
#
# As for the answers learned by heart, look at the last line printed. **One expert of 64 hidden units** does
# it too, without any router. What was missing was hidden units, not the *number of experts*: an
# MoE buys them for less work a token, at the price of a router that has to be trained. Eight
# experts are not eight minds.
#
# ## Three axes of one model
#
# Layers, heads, experts: move one at a time and read which of the numbers below the picture follow.
# Width 768, experts four times as wide, one expert a token. The counts are your own functions of
# notebooks 4, 9 and 10.

# %%
needs(
    "sizing.count_attention_parameters",
    "layers.count_attention_computations",
    "experts.count_moe_parameters",
)
counts = lab.Counts(
    layers.count_attention_computations,
    sizing.count_attention_parameters,
    experts.count_moe_parameters,
)
follow(
    partial(lab.plot_axes, counts),
    num_layers=IntSlider(value=12, min=1, max=16, description="layers"),
    num_heads=SelectionSlider(options=[1, 2, 3, 4, 6, 8, 12, 16], value=12, description="heads"),
    num_experts=SelectionSlider(options=[1, 2, 4, 8], value=8, description="experts"),
)

# %% [markdown]
# **Who waits for whom?** Three blocks with random weights, attention first, experts behind it, one expert
# a token, run by your functions. Each head's $W_V$ and each expert's second matrix was doubled, one at
# a time, to see which other parts then make something else. Click a head, an expert or a whole layer.

# %%
needs("heads.multi_head_attention", "experts.moe_feed_forward")
click_axes(
    [
        Part(kind, layer, number)
        for layer in range(3)
        for kind in ("head", "expert")
        for number in range(4)
    ],
    lab.reach_of_parts(heads.multi_head_attention, experts.moe_feed_forward),
    title="Heads, experts and layers: what waits for what",
    chosen=Part("expert", 1, 2),
)

# %% [markdown]
# Heads of a layer wait for nothing in it, nor do experts for each other; but in this block the experts
# wait for the heads. A layer is a place in a chain, a head a share of one attention, an expert one of
# several networks behind it.

# %% [markdown]
# ## Who looks where
#
# The block with two heads and eight experts that was just trained, on one sequence. Left: each
# head's weights over *tokens*. Right: the router's probabilities over *experts*.

# %%
needs("experts.top_k_router")
fig, alt = lab.plot_who_looks_where(blocks[2, 8])
show(fig, alt=alt)

# %% [markdown]
# Every row of every head map sums to 1 over tokens, and both heads work for every token. A row of the
# right map sums to 1 over experts, and only the largest entry of it is used. The rows of the two
# kinds of maps mean the same token, the columns have nothing to do with each other.
#
# What does the router go by? Here each of the 128 symbols, and where its tokens were sent:

# %%
needs("experts.top_k_router")
shares = {"8 experts": lab.symbol_routing(blocks[2, 8])}
fig, alt = lab.plot_symbol_routing(shares)
show(fig, alt=alt)
main = shares["8 experts"].amax(1)
print(
    f"a symbol's tokens go to its main expert: {main.mean():.0%} on average, {main.min():.0%} at least"
)

# %% [markdown]
# Most symbols have one home: the experts have shared out the table. It was drawn by lot, so
# nothing that a human would call a subject separates them. Careful with "expert" in big models,
# too: the word names a part of the network and says nothing about what it knows.
#
# ## One after the other
#
# In most transformers the feed-forward network reads x + attention. Then it can work on what a head
# found. Could it take a single blend apart? In principle, yes: in notebook 2 a blend of 2/3 and 1/3
# was planted, and a network with GELUs got both values from it, if it was trained with a high enough
# learning rate. The recorded runs of that notebook:

# %%
planted = lookups.select(lookups.recorded_runs(), weighting="planted blend")
for read_out in lookups.READ_OUTS:
    for rate in sorted({run.learning_rate for run in planted}):
        runs = lookups.select(planted, read_out=read_out, learning_rate=rate)
        if runs:
            worst = max(max(run.unexplained) for run in runs)
            print(
                f"{read_out:18} learning rate {rate}: {len(runs)} seeds, unexplained at most {worst:.3f}"
            )

# %% [markdown]
# So **in a sequential block "experts cannot help with look-ups" is no theorem**: the blend of one
# head can carry both values, and a feed-forward network behind it can decode them. Whether training
# finds that is another question. One head, one expert of 64, recorded over ten seeds:

# %%
for order in lab.ORDERS:
    runs = lab.select(lab.recorded_orders(), order=order)
    print(
        f"{order:10} look-up {span(runs, 'lookup')}, table {span(runs, 'table')}, {len(runs)} seeds"
    )

# %% [markdown]
# Training did not find it here, in 600 steps, with one learning rate: an observation, and no
# proof. What the parallel block shows cleanly is which part *provides* what; in a sequential one the
# two parts can do some of each other's work.
#
# ## Router collapse
#
# Nothing forces a router to use all experts. An expert that gets more tokens learns more, so it is
# worth choosing, so it gets more tokens. Fedus et al. (2021, arXiv 2101.03961, section 2.2) add a
# **balance loss**:
#
# $$\alpha\; E \sum_{e} f_e P_e$$
#
# $f_e$ is the share of tokens that went to expert $e$, $P_e$ its mean probability. Evenly used
# experts give α · 1; all tokens to one expert with certainty give α · E. ($f_e$ has no gradient, $P_e$
# has: probability is pushed away from experts that get many tokens.)
#
# Here expert 0 gets a head start of 4 in its score.
#
# ### Predict

# %%
predict(
    "experts-collapse",
    "Eight experts, expert 0 with a head start, 600 steps of training without a balance loss. What share of "
    "the tokens does the busiest expert get in the end?",
    [
        "About 1/8: training evens it out, since the other experts are needed",
        "More than half",
        "All of them, on every seed",
    ],
)

# %% [markdown]
# ### Run it
#
# One run of each, over the recorded ones (10 seeds, 600 steps). Your run stops after 400 steps, so it
# need not lie among them.

# %%
needs("experts.top_k_router")
pair = []
for balance in (0.0, lab.BALANCE):
    run, _ = lab.train_block(
        2,
        8,
        head_start=lab.HEAD_START,
        balance=balance,
        router=experts.top_k_router,
        seed=100,
        steps=400,
    )
    pair.append(run)
fig, alt = lab.plot_collapse(pair, lab.recorded_collapse())
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
favoured = lab.select(lab.recorded_collapse(), head_start=lab.HEAD_START)
collapsed = lab.select(favoured, balance=0.0)
balanced = lab.select(favoured, balance=lab.BALANCE)
outcome(
    "experts-collapse",
    1,
    f"{span(collapsed, 'busiest')} without the balance loss, {span(balanced, 'busiest')} with it. The table "
    f"suffers: {span(collapsed, 'table')} without, {span(balanced, 'table')} with.",
)

# %% [markdown]
# This is partial collapse, and we made it by hand. The same block without a head start and without a
# balance loss:

# %%
free = lab.select(lab.recorded_collapse(), head_start=0.0, balance=0.0)
print(f"busiest expert {span(free, 'busiest')}, table {span(free, 'table')}, {len(free)} seeds")

# %% [markdown]
# So this little block does not need a balance loss when it starts evenly; that says nothing about large
# ones. There imbalance also costs time, since experts live on different devices. And the balance
# loss has a price: it pulls against the task where the data are uneven. (DeepSeek-V3's report,
# 2024, does most of the balancing by a bias that is added to the scores only when
# choosing.)
#
# ## Renormalise or not?
#
# Conventions differ. Mixtral always divides the k kept weights by their sum. In transformers 5.24.0
# the setting `norm_topk_prob` is False by default in the configuration classes of OLMoE, Qwen2-MoE
# and Qwen3-MoE, and True in DeepSeek-V3's (a class default is not a checkpoint: look at the model's
# own file).
#
# What does the choice do when k = 1? In the block above, k = 1 and nothing was renormalised. Suppose it
# had been.
#
# ### Predict

# %%
predict(
    "experts-gradient",
    "k = 1, the weight renormalised to sum to 1, no balance loss. How large is the gradient of the task's "
    "loss with respect to W_gate?",
    [
        "As large as without renormalising, up to a factor",
        "Small, but not zero",
        "Exactly zero, or as good as (rounding)",
    ],
)

# %%
needs("experts.top_k_router")
task_input, answers, _ = block.task.draw(16, torch.Generator().manual_seed(3))
gradient = {}
for renormalize in (False, True):
    net = lab.Block(
        2, 8, router=lambda x, w, k, renormalize, r=renormalize: experts.top_k_router(x, w, k, r)
    )
    loss = ((net(task_input)[0] - answers) ** 2).mean()
    (found,) = torch.autograd.grad(loss, net.w_gate)
    gradient[renormalize] = found.norm().item()
    print(f"renormalize={renormalize!s:5}: norm of the gradient {gradient[renormalize]:.1e}")

# %% jupyter={"source_hidden": true}
needs("experts.top_k_router")
outcome(
    "experts-gradient",
    2,
    f"{gradient[True]:.0e} against {gradient[False]:.0e}. A number divided by itself is 1 whatever the router "
    "says, and the choice itself has no slope: the task cannot teach the router anything.",
)

# %% [markdown]
# So a top-1 layer keeps the probability as the weight (as Fedus et al. do). With k = 2 or more the
# ratio of the kept weights carries a gradient, and both conventions work.
#
# ## Mixtral has Mistral's attention, exactly
#
# LitGPT's table of named checkpoints gives, for both Mistral-7B and Mixtral-8x7B: 32 layers, hidden
# size 4096, 32 heads, 8 key and value heads (head_dim 128), feed-forward width 14336, and a vocabulary
# of 32000. Mixtral adds 8 experts, 2 a token. Nothing else in these lines touches the sizes. Each expert
# has *three* matrices (a gated network); as numbers go that is as much as two matrices of 1.5 times
# the width.

# %%
needs("experts.count_moe_parameters")
D, F, num_layers, h, h_kv, d, vocabulary = 4096, 14336, 32, 32, 8, 128, 32000
attention = num_layers * 2 * D * d * (h + h_kv)  # W_Q, W_O with h heads, W_K, W_V with h_kv
mixtral, active = (num_layers * n for n in experts.count_moe_parameters(D, 3 * F // 2, 8, 2))
mistral = num_layers * 3 * D * F  # one network, no router
embeddings = 2 * vocabulary * D  # tokens in, scores out

print("billions of parameters            Mistral-7B   Mixtral-8x7B   of it active")
print(
    f"attention                      {attention / 1e9:13.2f} {attention / 1e9:14.2f} {attention / 1e9:14.2f}"
)
print(
    f"feed-forward networks, routers {mistral / 1e9:13.2f} {mixtral / 1e9:14.2f} {active / 1e9:14.2f}"
)
print(
    f"embeddings                     {embeddings / 1e9:13.2f} {embeddings / 1e9:14.2f} {embeddings / 1e9:14.2f}"
)
rest = attention + embeddings
print(
    f"sum (without the norms)        {(rest + mistral) / 1e9:13.2f} {(rest + mixtral) / 1e9:14.2f} "
    f"{(rest + active) / 1e9:14.2f}"
)

# %% [markdown]
# The paper says 47 and 13 billion (Jiang et al. 2024, arXiv 2401.04088, abstract). "8x7B" is not 8
# times 7: attention and embeddings are there once. And since attention is Mistral's, so are the keys
# and values that have to be kept while a text is generated.
#
# ## Break it: who gets weight?
#
# Eight tokens, four experts, k = 2. Yellow: the expert gets a weight from this token. One of the four
# is right.

# %%
needs("experts.top_k_router")
pictures = lab.routing_pictures(experts.top_k_router)
fig, alt = splitting.plot_pictures(pictures, "expert", "token")
show(fig, alt=alt)

# %% [markdown]
# Which is which? The cells with the quizzes are folded, since they hold the answers: select one and run
# it.

# %% jupyter={"source_hidden": true}
mistakes = [
    "the k largest were taken along the tokens",
    "one choice for the whole sequence",
    "no choice at all: the softmax over all experts",
    "none: this one is right",
]
quiz(
    "experts-picture-a",
    "Picture A?",
    mistakes,
    answer=1,
    because="All rows are alike: the router was asked once, with the mean of the tokens.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "experts-picture-b",
    "Picture B?",
    mistakes,
    answer=0,
    because="Each column has two yellow fields: every expert chose two tokens. Some tokens go nowhere, others "
    "to several experts. (Zhou et al. 2022, arXiv 2202.09368, do this on purpose, with a k of its own.)",
)

# %% jupyter={"source_hidden": true}
quiz(
    "experts-picture-c",
    "Picture C?",
    mistakes,
    answer=2,
    because="A softmax is never 0, so everything is yellow: all experts work for all tokens, and nothing is saved.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "experts-picture-d",
    "Picture D?",
    mistakes,
    answer=3,
    because="Each row has two yellow fields, and the rows differ.",
)

# %% [markdown]
# ## Write it down
#
# In a forum you read: "Mixtral is multi-head attention taken further: instead of 8 heads you have 8
# experts, each a specialist for its subject, and the model attends to the best two."
#
# Answer in about six sentences. Say what is wrong, using measurements of this notebook, and what
# (if anything) is right.
#
# | 3 points | |
# |---|---|
# | 1 | says which part of the block heads and experts belong to and what each reads, with a measurement |
# | 1 | says how parameters and operations a token change with heads and with experts, with numbers |
# | 1 | says what the 2 × 2 table shows *and* what it depends on (how the block was built), or why "specialist for its subject" is not what was seen |

# %% [markdown] nbgrader={"grade": true, "grade_id": "experts-forum", "points": 3, "solution": true}
# ### BEGIN SOLUTION
# Heads are parts of attention and read other tokens; experts are feed-forward networks and read one
# token: when token 0 was changed, the experts' output changed at token 0 only, attention's elsewhere
# too. Mixtral's attention is Mistral's, 32 heads in both; the experts replaced its feed-forward
# network. A token is sent to two experts by a router; it does not attend to them.
#
# A second head left the 5,888 attention parameters and the operations as they were, since heads
# divide the same matrices; eight experts stored eight times the feed-forward parameters and a router,
# while a token used one of them.
#
# In the 2 × 2 table more heads repaired the look-ups only and more experts the table only. That
# is so clean because the block was built in parallel with a linear read-out; in a sequential block a
# feed-forward network could decode a blend. A single wider network repaired the table as well. The
# experts shared out symbols drawn by lot, so "specialist for a subject" was not what was seen. Right
# is that several parts work side by side and that their results are added.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "experts-card-1",
    "Mistral-7B and Mixtral-8x7B: both 32 layers, 8 key and value heads, head_dim 128. How much larger is what "
    "Mixtral has to keep of a token's keys and values?",
    ["8 times, for 8 experts", "2 times, for 2 active ones", "Not at all: it is the same"],
    answer=2,
    because="2 · 32 · 8 · 128 numbers in both, 128 KiB at 2 bytes each. Experts have no keys or values. Source: the "
    "defaults of both configuration classes in transformers 5.24.0, and LitGPT's table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "experts-card-2",
    "Qwen3-30B-A3B: 32 heads, 128 experts, 8 of them a token. What share of the heads, and of the experts, works "
    "for one token in a layer?",
    [
        "1/16 of the heads, 1/16 of the experts",
        "All heads, 1/16 of the experts",
        "All heads, all experts",
        "1/4 of the heads, one expert",
    ],
    answer=1,
    because="Heads are not chosen: all 32 run. 8 of 128 experts do. Source: LitGPT's table of named checkpoints.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "experts-card-3",
    "DeepSeek-V3 has layers with 256 routed experts, 8 of them a token, and 1 shared expert that every token uses. "
    "How many experts work for one token in such a layer?",
    ["1", "8", "9", "257"],
    answer=2,
    because="8 routed ones and the shared one. The first 3 of its 61 layers have an ordinary feed-forward network "
    "instead. Source: the configuration in DeepSeek's own inference code.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("experts")

# %% [markdown]
# ## What's next
#
# Heads are lenses on *other tokens*, cut from one budget of width. Experts are additional networks
# for *the token itself*, of which a few are used at a time. A model card lists both; now you can tell
# which number belongs to which part, and [notebook 11](11_read_a_model_card.ipynb) reads 44 of them.
# Run `progress()` in [notebook 0](00_start_here.ipynb) to see
# where you stand.
