# ---
# jupyter:
#   core_idea:
#     says: >-
#       A lens is one way of looking: every word gives every word a weight, and different lenses
#       give the same sentence different weights.
#     explained: "A first look: two lenses on one sentence"
#     measured: "A first look: two lenses on one sentence"
#     drawn: "A first look: two lenses on one sentence"
# ---

# %% [markdown]
# # 0 · Start here
#
# **What is this course, how does it work, and is this machine ready for it?**
#
# *About 25 minutes.* Nothing is graded in this notebook.
#
# > **Multi-head attention: many lenses on the same sentence.** You build a small attention library,
# > `mha_lib`, function by function, and use your own code to find out what attention heads do,
# > what they cost, and what is known about them.
#
# You need Python, some PyTorch (tensors, shapes, broadcasting, `@`) and matrix products. No training
# of large models, no GPU and, once installed, no network.
#
# A notebook is made of text and code cells. Select the next cell and press **Shift + Enter**: it
# runs, and the selection moves on. Run the cells from top to bottom.

# %%
# %load_ext autograde
from pathlib import Path

import mha_lib
from attention_lab import start
from attention_lab.figures import heat_map, new_figure, show
from attention_lab.questions import outcome, predict, predictions_table, quiz
from attention_lab.widgets import explore_encoder
from autograde import progress

# %% [markdown]
# The first line of every notebook, `%load_ext autograde`, finds your `mha_lib` folder and makes sure
# that every cell sees your latest saved version of it. In JupyterLab it also opens your progress
# board at the right: what passes, what does not and why, and what comes next. A click on its tab
# folds it away.
#
# ## Is this machine ready?

# %%
print(start.machine_report())
problems = start.machine_problems(Path(mha_lib.__path__[0]))
print("\n" + ("\n".join(problems) or "No problems found."))

# %% [markdown]
# The block lists versions and the kind of machine, no names and no folders: paste it into a bug
# report. "device" is the fastest one that PyTorch finds: `cuda` (NVIDIA or AMD), `mps` (Apple) or
# `cpu`. Everything in the course is sized for a CPU with two cores.
#
# ## A first look: two lenses on one sentence
#
# Attention lets every word of a sentence look at every word. How strongly it looks is a number
# between 0 and 1, a **weight**, and the weights of one word sum to 1. One way of looking, with
# weights of its own, is an attention **head**: a lens.
#
# Every notebook asks you to predict before it shows. Try it. The radio buttons work with a mouse and
# with the keyboard: **Tab** to an option, **Space** to choose it.

# %%
predict(
    "start-weights",
    "One lens looks at a sentence of 8 words. How many weights does it compute?",
    ["1", "8: one a word", "64: 8 for each of the 8 words", "That depends on the words"],
)

# %% [markdown]
# Below, two lenses look at the same sentence. Row: the word that looks. Column: the word that is
# looked at. What these lenses look for was written by hand, in `attention_lab/start.py`; the weights
# are computed from that. (A trained head finds by itself what to look for, and it is rarely as tidy
# as this.)

# %%
words, lenses = start.two_lenses()  # each lens: weights (T, T)

fig, axes = new_figure(11, 4.6, ncols=2, sharey=True)
for ax, (title, weights) in zip(axes, lenses.items(), strict=True):
    image = heat_map(
        ax,
        weights,
        row_labels=words,
        column_labels=words,
        title=title,
        x_label="the word that is looked at",
    )
axes[0].set_ylabel("the word that looks")
fig.colorbar(image, ax=axes, label="weight (rows sum to 1)")
being, before = (weights[words.index("it")] for weights in lenses.values())
show(
    fig,
    alt="Two heat maps of weights, 8 by 8 words. In lens 1 every row is bright at 'bird', a vertical "
    "stripe; in lens 2 every row is bright at the word before, a diagonal stripe. The word 'it' puts "
    f"{being[1]:.2f} on 'bird' in lens 1 and {before[4]:.2f} on 'because' in lens 2.",
)

# %% jupyter={"source_hidden": true}
outcome(
    "start-weights",
    2,
    f"Each picture has {weights.shape[0]} rows and {weights.shape[1]} columns, that is "
    f"{weights.numel()} weights: every word looks at every word, itself included.",
)

# %% [markdown]
# The same words, two questions, two patterns. Multi-head attention runs many such lenses side by
# side and mixes what they bring back. How a lens computes its weights is notebook 1; why a single
# one is not enough, notebook 2; how many run at once, notebook 3.
#
# ## Seventy-two trained lenses
#
# This is a real model, all-MiniLM-L6-v2: a small pretrained encoder of 6 layers with 12 heads each.
# It lies on your machine, nothing is fetched. Each small map is one head's weights for the sentence
# below (in a map, the word that looks goes down, the word that is looked at goes right).
#
# Click a map, or move with **Tab** and the arrow keys. Point at a row of the large map to ask what
# that word reads. "Lay over the sentence" puts several heads over the same words. Type a sentence of
# your own.

# %%
explore_encoder(
    "The bird flew home because it was tired.", lenses=[(0, 2), (2, 1), (3, 1)], asking="it"
)

# %% [markdown]
# Three heads are laid over the sentence to begin with, and ask what "it" reads: one reads the word
# before it, one "tired", one "bird". Does the last one know what "it" stands for? Try other sentences
# before you believe it: a picture proves nothing. (`[CLS]` and `[SEP]` are marks at both ends of
# every sentence that the model was trained with. Many heads put most of their weight there, or look
# like nothing in particular.) Whether heads have jobs is the question of notebook 7.
#
# ## How a notebook works
#
# | step | what you do | graded? |
# |---|---|---|
# | **Predict** | say what will happen, before you run anything | no, recorded for you |
# | **Build** | write functions in `mha_lib`, run their checks | yes, automatically |
# | **Measure** | run an experiment with your own code | no |
# | **Break** | say which mistake made which picture | no |
# | **Write** | answer one question in a few sentences | yes, by a person, with the rubric shown |
# | **Cards** | read the numbers of real models | no |
#
# A prediction can be changed until its outcome is shown. Then it stays as you made it: a wrong
# prediction that you remember teaches more than a right one that you touched up. Predictions are
# kept in the folder `.progress` beside `mha_lib`, and are not part of what you hand in.
#
# Quizzes look like this one. Their cells hold the answer, so in the notebooks their code is folded.

# %% jupyter={"source_hidden": true}
quiz(
    "start-quiz",
    "The weights of the word 'it' in one lens are 0.7 on 'bird' and 0.2 on 'flew'. What is left for "
    "the other six words together?",
    ["0.1", "0.9", "Nothing is known about them"],
    answer=0,
    because="The weights of one word sum to 1: 1 - 0.7 - 0.2 = 0.1. Source: the text above; you will "
    "compute it yourself in notebook 1.",
)

# %% [markdown]
# ## Build: edit, save, check
#
# Your code does not live in the notebooks but in a Python package, `mha_lib`, as it would in a real
# project. In notebook 1 you will do this for the first time:
#
# 1. Open [`mha_lib/attention.py`](../mha_lib/attention.py) by this link, or from the file browser on
#    the left (the folder icon above its list leads up to where `mha_lib` is). Drag its tab to the
#    right edge of the window: notebook and code are now side by side.
# 2. Read the function's docstring. It is a contract: the shapes, what comes back, which errors.
# 3. Replace `raise NotImplementedError` with your code. Helper functions of your own are fine.
# 4. Save with **Ctrl + S** (macOS: **Cmd + S**).
# 5. Back in the notebook, run the cell with `check("attention.softmax")`.
#
# No restart is needed. Check as often as you like: a check costs nothing and counts nothing.
# In a terminal, `autograde check` does the same for everything, and
# `autograde check attention.softmax` for one function.
#
# Stuck? Below every exercise there are hints to unfold, one step after another: the idea, the shapes,
# almost the code. `autograde hint attention.softmax` shows the first one in a terminal. Hints cost
# no points.
#
# ### How to read a check that fails
#
# Here is a real one: the check of a `causal_mask` in which someone mixed up past and future.

# %%
start.show_failed_check()

# %% [markdown]
# From top to bottom:
#
# - **the state and the points**: what the visible cases would give you;
# - **the first case that fails**. Cases go from simple to complete, so start there and ignore the
#   rest;
# - **what was expected and what came**: shape first, then the first place where the numbers differ;
# - **what happened**, if your answer equals that of a well-known mistake: which one. An answer that
#   equals no known mistake gets no guess;
# - **a hint** at the cure.
#
# In a notebook the check then stops with a short `CheckFailed`, so that "Run All" halts where there
# is something to do. An error in your own code is shown with the line of your file in which it
# happened. `FinishFirst` in an experiment means just that: it names the functions to finish first.
#
# ## Where you are
#
# One call shows every exercise, here and in any other notebook:

# %%
progress()

# %% [markdown]
# ## How grading works
#
# **What counts is what your functions return.** When you hand in, a copy of `mha_lib` goes along.
# The grader calls your functions in a process of its own, with limits on time and memory, and
# compares the results with a reference.
#
# - The checks you run use the *visible* cases. The grader also has *hidden* ones: other numbers and
#   other shapes for the same contract. Code that keeps to the docstring passes both; code that was
#   fitted to the visible cases does not.
# - Any correct way is right: loops, `einsum`, another order of summation. Results are compared as
#   numbers, with a tolerance far above rounding and far below any known mistake.
# - The main cases of an exercise are all or nothing. What the docstring promises besides, such as an
#   error for impossible arguments, adds its own share of the points.
# - One mistake is not punished twice: if an earlier function of yours is wrong, a later one is
#   graded with a right version in its place, and the message says so.
# - Written answers are read by a person.
#
# **What the grader does not do:** it does not run your notebooks, so changing their cells changes no
# points. It does not judge style, speed within the limits, or your predictions and quizzes. When you
# call a library's ready-made version of what you are asked to build, it says so and takes no points:
# what is lost is the point of the exercise. And it is a program: if you are sure that it is wrong, say so to
# your instructor and add the block from above.
#
# How to hand in depends on your course: with nbgrader in JupyterLab's menu, or as a zip made by
# `autograde pack 01_one_lookup` in a terminal.
#
# ## If something goes wrong
#
# | what you see | what helps |
# |---|---|
# | a change in your file has no effect | save it; look whether the tab shows an unsaved dot |
# | "There is no mha_lib folder" | keep the notebook in the course's folder, below or beside `mha_lib` |
# | text but no radio buttons | the text below the question says how to choose without them |
# | "model not found" where buttons were | the kernel was restarted: run the cell again |
# | "name 'check' is not defined", or another name | the kernel was restarted: run from the top |
# | a cell never ends | the square in the toolbar interrupts it; nothing is lost |
# | everything is confused | menu *Kernel → Restart Kernel*, then run from the top |
#
# ## The notebooks
#
# | notebook | its question | you build |
# |---|---|---|
# | [1 · One look-up](01_one_lookup.ipynb) | How does a token look something up in a sentence? | `attention`: softmax, masks, scaled dot-product attention |
# | [2 · One head, one blend](02_one_head_one_blend.ipynb) | What can a single head not do? | `single`: one head, independent heads, a limit in numbers |
# | [3 · Split, run, concatenate, project](03_split_run_concatenate_project.ipynb) | How does one layer hold many heads? | `heads`: split, merge, multi-head attention |
# | [4 · Twelve heads of 64](04_twelve_heads_of_64.ipynb) | Where do 12 × 64 = 768 numbers go, and what do they cost? | `sizing`: shapes, packed projections, parameters, FLOPs |
# | [5 · W_O mixes](05_w_o_mixes.ipynb) | What does the last matrix do that the concatenation does not? | `mixing`: slices, the heads' writes, ablation |
# | [6 · How many heads?](06_how_many_heads.ipynb) | Why is the number of heads a partition and not free capacity? | `partition`: ranks, head counts |
# | [7 · Do heads have jobs?](07_do_heads_have_jobs.ipynb) | Can you read a model by looking at its heads? | `roles`: role scores, entropy, importance by ablation |
# | [8 · Self, cross and shared](08_self_cross_and_shared.ipynb) | Whom may a token ask, and must every head keep keys and values of its own? | `sharing`: cross-attention, shared key and value heads, their cache, pooling |
# | [9 · Heads are not layers](09_heads_are_not_layers.ipynb) | Are eight heads side by side worth two layers? | `layers`: a stack, its count, the induction score |
# | [10 · Heads are not experts](10_heads_are_not_experts.ipynb) | What do experts change that heads don't? | `experts`: router, expert layer, total and active parameters |
# | [11 · Read a model card](11_read_a_model_card.ipynb) | What do the numbers on a model's page say about its attention? | `cards`: a reader of configurations, a comparison |
# | [12 · The block and a real model](12_the_block_and_a_real_model.ipynb) | What stands around attention in a model, and does your code run a real one? | `block`: layer norm, feed-forward network, transformer block |
#
# Each builds on the one before. Count on about an hour each.
#
# ## Predictions against outcomes

# %%
predictions_table("start")

# %% [markdown]
# Every notebook ends with such a table. On to [notebook 1](01_one_lookup.ipynb).
