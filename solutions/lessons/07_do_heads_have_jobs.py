# ---
# jupyter:
#   core_idea:
#     says: >-
#       Heads can specialise, but among the words most fit none of five simple roles, and a clear
#       role is not the same as importance: several heads are a structural mechanism, not named
#       lenses.
#     explained: "What would a job be?"
#     measured: "How many heads have a role?"
#     drawn: "How many heads have a role?"
# ---

# %% [markdown]
# # 7 · Do heads have jobs?
#
# **One head for grammar, one for names, one for what `it` stands for: can you read a model by
# looking at its heads?**
#
# *About 60 minutes.* You look at the 72 heads of a real pretrained encoder: first with bare eyes,
# then with numbers, then by switching heads off. A small model that must divide two jobs among six
# heads shows what switching off can hide. Four functions:
#
# | function | what it does |
# |---|---|
# | `previous_token_score` | how much a head looks at the token before |
# | `first_token_score` | how much it looks at token 0 |
# | `attention_entropy` | how widely it looks |
# | `head_importance` | what the loss does when one head is off |
#
# You write them in **[`mha_lib/roles.py`](../mha_lib/roles.py)**: click its name, drag the new tab
# beside this notebook, edit, save. The next cell you run here sees the change.

# %%
# %load_ext autograde

from attention_lab import encoder_heads, planted
from attention_lab.figures import show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.sentences import OBJECT_MEANT, SENTENCES, SUBJECT_MEANT
from attention_lab.widgets import explore_encoder, explore_jobs
from autograde import check, needs
from mha_lib import roles

# %% [markdown]
# ## Label five heads, blind
#
# The encoder is all-MiniLM-L6-v2, which turns sentences into vectors: 6 layers of 12 heads, each 32
# wide. Below are five of its 72 heads, on one sentence, without their names. (`[CLS]` and `[SEP]`
# are marks that are put around every text.) Rows are queries, columns keys.

# %%
fig, alt = encoder_heads.plot_pictures()
show(fig, alt=alt)

# %% [markdown]
# Give each a label, the one that fits best. What they score comes later.

# %%
for letter in encoder_heads.PICTURES:
    predict(
        f"roles-blind-{letter.lower()}",
        f"What does head {letter} look at?",
        list(encoder_heads.LABELS),
    )

# %% [markdown]
# ## Predict

# %%
predict(
    "roles-count",
    "Each of the 72 heads gets a score for five simple roles: the token before, the token after, itself, "
    "the first token, the last. How many heads fit none of them?",
    ["Fewer than 10", "10 to 40", "More than 40", "That depends on where I draw the line"],
)

# %%
predict(
    "roles-clearest",
    "Head A is switched off. Of all 72 heads switched off one at a time, where does it stand by the change "
    "of the sentences' vectors?",
    ["It changes them most", "Among the ten that change them most", "Not among those ten"],
)

# %% [markdown]
# ## What would a job be?
#
# A label is cheap, and a pattern on one sentence can be an accident. Four questions make a claim
# such as "this head looks at the token before" something that can be wrong:
#
# 1. **A score.** How much weight lies where the job says, over many sentences?
# 2. **A baseline.** What would a head score that looks nowhere in particular? And with 72 heads and
#    five roles there are 360 chances to be lucky: what is the *highest* score by luck?
# 3. **A test on other sentences** than those on which the head was found.
# 4. **An intervention.** What happens when the head is off? Looking is not yet being needed.
#
# ## Build 1: previous_token_score
#
# Take the weight that token $t$ gives to token $t-1$, and average over the rows that have such a
# token, and over the batch:
#
# $$\frac{1}{T-1} \sum_{t=1}^{T-1} A_{t,\;t-1}$$
#
# **By hand.** T = 3, rows (1, 0, 0), (0.8, 0.2, 0), (0.1, 0.6, 0.3): row 1 gives 0.8 to token 0, row
# 2 gives 0.6 to token 1. The score is 0.7. Row 0 has no token before it and is left out.
#
# **Write `previous_token_score` in [`mha_lib/roles.py`](../mha_lib/roles.py).**
#
# [hints: roles.previous_token_score]

# %% nbgrader={"grade": true, "grade_id": "roles-previous_token_score"}
check("roles.previous_token_score")

# %% [markdown]
# ## Build 2: first_token_score
#
# The mean weight on token 0, over *all* rows. In the same table: (1 + 0.8 + 0.1) / 3 = 0.63.
#
# **Write `first_token_score` in [`mha_lib/roles.py`](../mha_lib/roles.py).**
#
# [hints: roles.first_token_score]

# %% nbgrader={"grade": true, "grade_id": "roles-first_token_score"}
check("roles.first_token_score")

# %% [markdown]
# Two functions measure four roles: with rows and columns exchanged, the first one measures the token
# *after*; read from the end, the second measures the *last* token. The fifth role, a token's weight
# on itself, is the mean of the diagonal.
#
# ## Build 3: attention_entropy
#
# How widely does a row spread its weight? Entropy says it in one number:
#
# $$H = -\sum_j w_j \log w_j, \qquad 0 \cdot \log 0 = 0$$
#
# It is 0 when all weight lies on one key, and $\log T$ when all $T$ keys get the same; $e^H$ is an
# effective number of keys. **By hand:** (0.5, 0.5, 0, 0) has the entropy log 2 = 0.69 nats, two keys.
#
# **Write `attention_entropy` in [`mha_lib/roles.py`](../mha_lib/roles.py).** Mean over the rows and
# the batch, *after* the entropy of each row.
#
# [hints: roles.attention_entropy]

# %% nbgrader={"grade": true, "grade_id": "roles-attention_entropy"}
check("roles.attention_entropy")

# %% [markdown]
# ## How many heads have a role?
#
# Your functions, on 60 sentences written for this course. Each score is a mean over the sentences.

# %%
needs("roles.previous_token_score", "roles.first_token_score")
measures = roles.previous_token_score, roles.first_token_score
found = encoder_heads.patterns(SENTENCES)  # one (L, 1, h, T, T) a sentence
scores = encoder_heads.role_scores(found, *measures)

# %%
needs("roles.previous_token_score", "roles.first_token_score", "roles.attention_entropy")
entropy = encoder_heads.over_sentences(roles.attention_entropy, found)
fig, alt = encoder_heads.plot_maps(scores, entropy)
show(fig, alt=alt)

# %% [markdown]
# **The baseline.** The weights of each row are put in random order. That keeps how sharp a head is
# and takes away where it looks:

# %%
needs("roles.previous_token_score", "roles.first_token_score")
luck = encoder_heads.chance(found, *measures)
best, which = encoder_heads.best_role(scores)  # (L, h)
print(f"highest of 72 heads and 5 roles, shuffled five times: {luck:.2f}")
print(f"heads above that in some role: {(best > luck).sum()} of 72")
print(f"heads whose highest score is that for the first token, [CLS]: {(which == 3).sum()} of 72")
for role in encoder_heads.ROLES:
    layer, head = divmod(scores[role].argmax().item(), 12)
    print(f"{role:13} highest {scores[role].max():.4f}: layer {layer}, head {head}")

# %% [markdown]
# So every head is somewhere that luck does not explain, and that says little: "more than by luck" is
# a low bar. How many heads *have a role*? That depends on what you ask for. (The marks matter, too:
# much of the weight lies on `[CLS]`, which holds no word. The second curve leaves both marks out.)

# %%
needs("roles.previous_token_score", "roles.first_token_score")
words_only = encoder_heads.without_marks(found)
curves = {
    "all tokens": best,
    "without [CLS] and [SEP]": encoder_heads.best_role(
        encoder_heads.role_scores(words_only, *measures)
    )[0],
    "rows shuffled": encoder_heads.best_role(
        encoder_heads.role_scores(encoder_heads.shuffled(found), *measures)
    )[0],
}
fig, alt = encoder_heads.plot_thresholds(curves)
show(fig, alt=alt)
for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
    counts = [encoder_heads.without_a_role(curve, [threshold])[0] for curve in curves.values()]
    print(f"threshold {threshold}: fit no role {counts[0]:2d}, {counts[1]:2d} without the marks")

# %% [markdown]
# There is no step in the curve that would say where to draw the line. Whoever reports one count has
# chosen it. What can be said without choosing: one head is as clear as one can wish, and few come near
# it; nearly all give `[CLS]` a large part of their weight; and among the words, from a threshold of 0.2
# on, most heads fit none of the five roles. That does not prove that they have no role: only that it is
# none of these.

# %% jupyter={"source_hidden": true}
needs("roles.previous_token_score", "roles.first_token_score", "roles.attention_entropy")
low, high = (encoder_heads.without_a_role(best, [line])[0] for line in (0.3, 0.6))
outcome("roles-count", 3, f"{low} at a threshold of 0.3, {high} at 0.6: the line decides.")
came = {"A": 0, "B": 1, "C": 2, "D": 3}
role_of = {"A": "token before", "B": "token after", "C": "first token"}
for letter, (layer, head) in encoder_heads.PICTURES.items():
    if letter in role_of:
        score = scores[role_of[letter]][layer, head]
        said = f"The score, over 60 sentences, is {score:.2f}."
    elif letter == "D":
        said = (
            f"Its entropy is {entropy[layer, head]:.2f} nats, about {entropy[layer, head].exp():.0f} keys; "
            f"the highest of all heads is {entropy.max():.2f}."
        )
    else:
        continue
    outcome(
        f"roles-blind-{letter.lower()}",
        came[letter],
        f"{letter} is layer {layer}, head {head}. {said}",
    )

# %% [markdown]
# ### Try it: the roles on one sentence
#
# The same five scores, from your functions, on the one sentence that is shown. A head is marked with
# the number of the role that fits it best. Move the line and watch the counts. Then type other
# sentences: which marks stay on their heads, and which were there for one sentence only?

# %%
needs("roles.previous_token_score", "roles.first_token_score")
explore_encoder(
    "The cat drank the milk because it was thirsty.",
    lenses=[encoder_heads.PICTURES["A"]],
    asking="it",
    score=lambda weights: encoder_heads.role_scores([weights], *measures),
    title="roles by your own scores",
)

# %% [markdown]
# ## A picture is not yet a role
#
# Head E looked, in the row of `it`, at `cat`. Does it know what a pronoun stands for? Here are 36
# sentences with a pronoun. In 20 the subject is meant ("The **cat** drank the milk because **it** was
# thirsty"), in 16 the object ("The cat drank the **milk** because **it** was warm"). A hit: among all
# words but itself, the pronoun gives most weight to the noun that is meant.
#
# The three heads that do best on the first 20 are chosen there; the other 16 sentences are the test.

# %%
hits, guess = encoder_heads.pronoun_hits(SUBJECT_MEANT)  # (20, L, h)
others, other_guess = encoder_heads.pronoun_hits(OBJECT_MEANT)  # (16, L, h)
e = encoder_heads.PICTURES["E"]
ranked = hits.mean(0).flatten().argsort(descending=True, stable=True)[:3].tolist()
rows = {"head E": e} | {f"chosen, {n}": divmod(i, 12) for n, i in enumerate(ranked, 1)}
print(f"{'':28} subject meant   object meant")
for name, (layer, head) in rows.items():
    shares = hits[:, layer, head].mean(), others[:, layer, head].mean()
    print(f"{name:12} layer {layer}, head {head:2d} {shares[0]:12.0%} {shares[1]:14.0%}")
medians = hits.mean(0).median(), others.mean(0).median()
print(f"{'the median of all 72 heads':28} {medians[0]:13.0%} {medians[1]:14.0%}")
print(f"{'guessing a word':28} {guess:13.0%} {other_guess:14.0%}")

# %%
fig, alt = encoder_heads.plot_pronouns(
    {"head E: layer 5, head 4": e, "layer 3, head 1": (3, 1)}, [SUBJECT_MEANT[0], OBJECT_MEANT[0]]
)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
outcome(
    "roles-blind-e",
    4,
    f"On this sentence, that is. E is layer {e[0]}, head {e[1]}. Over the 20 sentences of its kind it hits in {hits[:, e[0], e[1]].mean():.0%}, "
    f"over the other 16 in {others[:, e[0], e[1]].mean():.0%}: the label was read off one sentence.",
)

# %% [markdown]
# Two heads, the same picture on one sentence, and two different stories:
#
# - **Head E** does what its picture said in about half of the sentences: more than luck gives, and
#   far from a job.
#   Look at its picture again: many rows look at `cat`, not only that of `it`.
# - **Layer 3, head 1** does, on sentences that it was not chosen on, and also where the meant noun
#   stands elsewhere. Nobody built this in. Heads *can* specialise.
# - What exactly it does is still open. In many of our sentences number, or person against thing,
#   gives the answer away (`they`, `she`, `it`), and the noun that is meant is always one of two.
#   "Resolves pronouns" is a larger claim than was tested.
# - Of 72 heads we chose the three best. What the 16 other sentences are good for shows in the first
#   of the three: it was as good as the second on the sentences it was chosen on, and is not on the others.
#
# Clark et al. (2019, arXiv 1906.04341) did this for BERT, with parsed text: some heads match
# relations of grammar and coreference with high accuracy.
#
# ## Build 4: head_importance
#
# Now the intervention: switch one head off, all others on, and see what the loss does.
#
# $$I_{l,i} = \mathrm{loss}(\text{all on, but head } i \text{ of layer } l) - \mathrm{loss}(\text{all on})$$
#
# The model hides behind a function `loss_fn(head_mask)`; the mask is a table (L, h) of floating-point
# numbers, 1.0 = on, 0.0 = off. loss_fn may write into its mask, so give it a new one each time.
#
# **By hand.** One layer, two heads. loss(1, 1) = 0.5, loss(0, 1) = 0.9, loss(1, 0) = 0.4. Importance:
# 0.4 and -0.1. A negative one says that the model does better without that head.
#
# **Write `head_importance` in [`mha_lib/roles.py`](../mha_lib/roles.py).**
#
# [hints: roles.head_importance]

# %% nbgrader={"grade": true, "grade_id": "roles-head_importance"}
check("roles.head_importance")

# %% [markdown]
# ## Two jobs for six heads
#
# In a model that was trained on text nobody knows the jobs. So here is one where the task gives them:
# one attention layer, six heads, and at each position two questions: what is the token before? what
# is the first token of the sequence? It is trained twice: once as usual, and once with each head
# switched off at random in 30 % of the steps.
#
# ### Predict

# %%
predict(
    "roles-joint",
    "The first training. Some heads look at the token before. Their importances are added up; then all of them "
    "are switched off at once. How large is the rise of the loss then, against the sum?",
    ["About the same", "Clearly smaller", "At least twice the sum"],
)

# %% [markdown]
# ### Measure

# %%
needs("roles.previous_token_score", "roles.first_token_score", "roles.head_importance")
models = {}
for dropout in planted.DROPOUTS:
    run, model = planted.train_jobs(dropout, seed=100)
    models[f"each head off in {dropout:.0%} of the steps"] = model
    weights = planted.look(model)  # (B, h, T, T)
    previous, first = roles.previous_token_score(weights), roles.first_token_score(weights)
    loss_fn = planted.loss_fn(model)
    importance = roles.head_importance(loss_fn, 1, 6)[0]  # (h,)
    print(f"Trained with each head off in {dropout:.0%} of the steps: accuracy {run.accuracy}")
    print("  importance: " + "  ".join(f"{value:.3f}" for value in importance.tolist()))
    for name, score in (("token before", previous), ("first token", first)):
        heads = planted.heads_with(score)
        print(
            f"  {name:12} heads {heads}: importances add up to {importance[heads].sum():.3f}, "
            f"all off at once {planted.rise_without(loss_fn, heads):.3f}"
        )
    fig, alt = planted.plot_scores(previous, first, run.chance)
    show(fig, alt=alt)
    if dropout == 0:
        tables = planted.wrong_tables(loss_fn)

# %% [markdown]
# The roles are found by their scores, far above what an untrained model shows. (A head that is
# counted to both shares its weight out.) But look at the importances.
#
# ### Try it: silence them yourself
#
# Both models, marked by your scores. Silence the heads of one job, one after another, and watch the
# loss in the line above the maps.

# %%
needs("roles.previous_token_score", "roles.first_token_score", "roles.head_importance")
explore_jobs(models, roles.previous_token_score, roles.first_token_score)

# %% [markdown]
# Ten seeds are recorded for each training (`python -m attention_lab.planted record` repeats them):

# %%
recorded = planted.recorded_runs()
fig, alt = planted.plot_effects(recorded)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
usual = [run for run in recorded if run.dropout == 0]
ratios = [
    run.joint[place] / max(run.summed(job), 1e-4)
    for run in usual
    for place, job in enumerate(planted.JOBS)
]
outcome(
    "roles-joint",
    2,
    f"Ten recorded seeds, both jobs: more than twice the sum in {sum(r > 2 for r in ratios)} of {len(ratios)} "
    f"cases; the least is {min(ratios):.1f} times the sum.",
)

# %% [markdown]
# **Off one at a time, a head's work is done by the others that have the same job.** In the second
# training every importance is about 0, and by that measure no head is needed at all; without all heads
# of a job the loss rises by more than 1 nat. (Guessing one of the two answers among 16 tokens costs
# log 16 / 2 = 1.39 nats.) "Importance" of a single head is a statement about a model in
# which all others are on. It does not add up.
#
# ## The encoder: which heads are needed?
#
# Sentence vectors, with one head off against all on: $1 - \cos$, the mean over 16 sentences. 73 runs
# of the encoder, some seconds.

# %%
needs("roles.previous_token_score", "roles.first_token_score", "roles.head_importance")
drift = encoder_heads.Drift(SENTENCES[:16], calls=73)
importance = roles.head_importance(drift, 6, 12)  # (L, h)
fig, alt = encoder_heads.plot_importance(importance, best)
show(fig, alt=alt)
print(
    "share of the sum by layer: "
    + "  ".join(f"{s:.0%}" for s in importance.sum(1) / importance.sum())
)
print(
    f"rank correlation of importance and highest role score: {encoder_heads.rank_correlation(importance, best):.2f}"
)
place = int((importance > importance[0, 2]).sum()) + 1
print(
    f"head A, layer 0 head 2: role score {best[0, 2]:.4f}, importance {importance[0, 2]:.4f}, place {place} of 72"
)

# %% jupyter={"source_hidden": true}
needs("roles.previous_token_score", "roles.first_token_score", "roles.head_importance")
outcome(
    "roles-clearest",
    0 if place == 1 else 1 if place <= 10 else 2,
    f"Place {place} of 72, although no head of the encoder has a clearer role.",
)

# %% [markdown]
# Two cautions. **Depth:** the last layer holds most of the sum. (A guess, not tested here: behind it no
# layer is left that could make up for what is missing.) That is a fact about layers, not about single
# heads; compare heads within a layer. And **single effects don't add up**, as you have just seen.
#
# So how many heads can go? That is a question about *sets* of heads. Below, orders of removal are
# chosen on 20 sentences and measured on the 40 others, for ten splits
# (`python -m attention_lab.encoder_heads record` repeats them). *Joint effect*: after every six heads
# the effects are measured anew, without those that are gone.

# %%
removals = encoder_heads.recorded_runs()
fig, alt = encoder_heads.plot_removal(removals)
show(fig, alt=alt)
print(encoder_heads.removal_table(removals))

# %% [markdown]
# Many heads can go, if they are the right ones, and the vectors hardly move; after the right six
# they move a lot. Up to about 18 heads it makes no difference how they are ranked; from 24 to 60, removing
# by joint effect kept more than removing by single effects on all ten splits. (With all 72 off the
# cosine is still well above 0: words, positions and the feed-forward networks are left.) It is one
# model, one measure and 60 short sentences.
#
# ## Is the pattern the reason?
#
# Suppose a head looks at `drank` more than at anything else. Is that *why* its output is what it is? The
# output of one query is $w V$: $T$ weights make $d$ numbers. How much could the weights change before the
# output does? Here is one query of layer 0, head 7, on six sentences in a row.
#
# ### Predict

# %%
predict(
    "roles-same",
    "A text of 71 tokens, a head of width 32. Half of a query's weight is moved to other keys, cleverly. How near "
    "can the output stay?",
    ["Relative error about 0.5", "Relative error about 0.05", "Equal to rounding"],
)

# %% [markdown]
# ### Measure

# %%
text = " ".join(SENTENCES[:6])
head = encoder_heads.read_head([text], head=7, query=40)[0]
other = encoder_heads.another_pattern(head.weights, head.values)
moved = encoder_heads.distance(head.weights, other)
error = encoder_heads.output_error(other, head)
print(f"{len(head.tokens)} tokens, width {head.values.shape[1]}, query {head.tokens[40]!r}")
print(f"weight that lies elsewhere: {moved:.0%}; relative difference of the outputs: {error:.0e}")
fig, alt = encoder_heads.plot_two_patterns(head, other)
show(fig, alt=alt)

# %% jupyter={"source_hidden": true}
outcome(
    "roles-same", 2, f"{moved:.0%} of the weight was moved, and the relative error is {error:.0e}."
)

# %% [markdown]
# **Why it works:** if $T > d + 1$, there are more weights than equations ($d$ for the output, one for the
# sum), and since softmax makes all weights larger than 0, some of them can be changed without changing the
# output at all.
#
# So a pattern is not determined by what it does on one text. Jain & Wallace (2019, arXiv 1902.10186)
# made this point with predictions of whole models. **The counter-test:** does the other pattern hold
# up elsewhere? Freeze both, change one word of the text, and compare with what the head now does.

# %%
errors = encoder_heads.errors_elsewhere(text, 7, 40, [head.weights, other])  # (texts, 2)
own, others_error = errors.T
print(f"{len(errors)} texts with one word changed; relative error of the output, mean (median)")
print(f"  the head's own pattern, frozen  {own.mean():.3f} ({own.median():.3f})")
print(f"  the other pattern, frozen       {others_error.mean():.3f} ({others_error.median():.3f})")
print(f"  the own pattern is nearer in {(own < others_error).float().mean():.0%} of the texts")

short = [encoder_heads.read_head(SENTENCES[:1], number, 5)[0] for number in range(12)]
free = [
    encoder_heads.distance(h.weights, encoder_heads.another_pattern(h.weights, h.values))
    for h in short
]
print(
    f"{len(short[0].tokens)} tokens, all 12 heads of layer 0: at most {max(free):.0%} of the weight can be moved"
)

# %% [markdown]
# Both sides have a point here. On one long text the output does not tell the two patterns apart;
# on other texts it does, and the one that the model computes is the better account of what the head does. And on
# a short text nothing can be moved: 12 weights have fewer freedoms than 32 numbers ask for. Wiegreffe &
# Pinter (2019, arXiv 1908.04626) argue in this direction: whether attention explains depends on what
# you call an explanation, and a rival pattern has to pass tests of its own.
#
# ## What the literature says
#
# | paper | looked at | found | careful |
# |---|---|---|---|
# | Clark et al. (2019, arXiv 1906.04341) | BERT | heads for separators, fixed offsets, broad attention; some match grammar and coreference well | where heads look, not what is lost without them |
# | Voita et al. (2019, arXiv 1905.09418) | encoders of translation Transformers | the most important heads have roles that can often be named; 38 of 48 heads pruned cost 0.15 BLEU | pruning goes with training; one pair of languages for these figures |
# | Michel et al. (2019, arXiv 1905.10650) | translation and BERT | many heads can be removed at test time, some layers need only one; encoder-decoder attention needs more of them | that a head is not needed says nothing about what it does |
# | Jain & Wallace (2019, arXiv 1902.10186) | *recurrent* networks with attention | weights often uncorrelated with gradients; very different weights, equivalent predictions | no Transformer; one attention each |
# | Wiegreffe & Pinter (2019, arXiv 1908.04626) | *recurrent* networks with attention | rival weights can be found but do badly on a diagnostic; it depends on the definition | no Transformer; a reply, not a proof of the opposite |
#
# They do not contradict each other as much as their titles do. They ask different questions (where
# does it look, is it needed, is it the reason) of different models.
#
# **What can be said:** splitting attention into heads is a *structural mechanism*: several weightings
# a token in place of one. It makes room for specialisation, and in every model here some heads
# specialised. It does not hand out named lenses: among the words most heads fit none of our labels,
# several share one, a clear label is not importance, and which labels there are is found out by tests, if at all.
#
# ## Break it: which way of measuring made which picture?
#
# Importance of the six heads of your first small model, measured in four ways. One is right.

# %%
needs("roles.previous_token_score", "roles.first_token_score", "roles.head_importance")
fig, alt = planted.plot_tables(tables)
show(fig, alt=alt)

# %% [markdown]
# Which is which? The cells with the quizzes are folded, since they hold the answers: select one
# and run it.

# %% jupyter={"source_hidden": true}
ways = [
    "right: one head off at a time",
    "heads that were switched off stay off",
    "the mask is upside down: one head on at a time",
    "the sign is reversed",
]
quiz(
    "roles-picture-a",
    "Picture A?",
    ways,
    answer=1,
    because="Each bar includes all heads before it; at the last one all six are off.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "roles-picture-b",
    "Picture B?",
    ways,
    answer=0,
    because="Small, hardly ever negative: the others do most of what is missing.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "roles-picture-c",
    "Picture C?",
    ways,
    answer=2,
    because="Large everywhere: with one head alone at least one of the two jobs is undone.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "roles-picture-d",
    "Picture D?",
    ways,
    answer=3,
    because="Picture B upside down, as if the model were better off without its heads.",
)

# %% [markdown]
# ## Write it down
#
# A blog post shows one head on one sentence, where `it` looks at `cat`, and concludes: "Head 5.4
# resolves pronouns. Each head of a Transformer is a specialist for one aspect of language."
#
# Say in about seven sentences what you would ask the author for, what you found yourself, and what
# can be said about heads in general.
#
# | 4 points | |
# |---|---|
# | 1 | asks for a score over other sentences and a baseline, and names what was chosen from how many |
# | 1 | keeps looking and being needed apart, with a measurement (joint against single) |
# | 1 | says that heads can specialise, with a measured example, and that most fit no simple role, without quoting a single count as a fact |
# | 1 | says that one output can come from several patterns, and what speaks against taking any of them |

# %% [markdown] nbgrader={"grade": true, "grade_id": "roles-note", "points": 4, "solution": true}
# ### BEGIN SOLUTION
# I would ask how often the head does this on sentences that it was not picked on, what guessing
# gives, and from how many heads it was picked: the best of 72 on one sentence proves nothing. In my
# measurement exactly this head missed in about half of the sentences, while another one, layer 3 head
# 1, hit in nearly all, also where the other noun was meant; so heads can specialise, but the picture
# did not show which. Looking there is not being needed either. In the small model with two jobs,
# each head could be switched off with little loss, and all heads of one job together could not: single
# effects do not add up. The clearest head of the encoder was not its most important one. How many heads
# have a role depends on the threshold, so I show the curve; among the words, from 0.2 on, most heads fit
# none of the five simple roles. And on a long text, other weights give the
# same output, although on changed texts the head's own pattern was the better account. So: several
# heads are a structure that makes room for specialists, not a set of named ones, and the papers on it
# are mixed.
# ### END SOLUTION

# %% [markdown]
# ## Three questions to model cards
#
# Self-check, not graded.

# %% jupyter={"source_hidden": true}
quiz(
    "roles-card-1",
    "A card says: num_hidden_layers 6, num_attention_heads 12, hidden_size 384. What does it tell about "
    "what the heads do?",
    [
        "72 heads of width 32, and nothing about what they do",
        "That there are 12 jobs, done again in each layer",
        "That 12 aspects of language are told apart",
    ],
    answer=0,
    because="6 · 12 = 72, 384 / 12 = 32. The fields describe a structure. Source: this notebook's encoder.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "roles-card-2",
    "BERT-base has heads of width 64. From how many tokens on does every query of every head have other weights "
    "with exactly the same output?",
    ["13", "65", "66", "769"],
    answer=2,
    because="d + 1 = 65 equations; 66 weights, all above 0, leave at least one direction. Source: the text above.",
)

# %% jupyter={"source_hidden": true}
quiz(
    "roles-card-3",
    "A report says: “40 of 72 heads can be removed without loss, so only 32 do anything.” What is missing?",
    [
        "Nothing",
        "Which 40, chosen on which data and measured on which; another 40 may cost a lot",
        "The number of parameters",
    ],
    answer=1,
    because="Removal is about sets of heads, and heads that do the same replace each other. Source: this notebook.",
)

# %% [markdown]
# ## Predictions against outcomes

# %%
predictions_table("roles")

# %% [markdown]
# ## What's next
#
# What is certain now: where a head looks can be scored and tested, what a set of heads is needed for
# can be measured, and neither gives the other. Next, in [notebook 8](08_self_cross_and_shared.ipynb):
# the same mechanism with keys and values from somewhere else, and with fewer of them. Run `progress()` in [notebook 0](00_start_here.ipynb) to see
# where you stand.
