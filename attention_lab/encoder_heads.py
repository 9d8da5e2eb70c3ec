"""Looking for jobs in the 72 heads of a pretrained encoder: scores, chance, pictures, ablation.

`python -m attention_lab.encoder_heads record` repeats the recorded orders of removal (about ten
minutes).
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .encoder import load_encoder, pool
from .figures import BLUE, GREEN, GREY, MAP, ORANGE, PURPLE, SKY, VERMILION, new_figure
from .recordings import FOLDER, command_line, make_runs, read_runs, select, write_runs
from .sentences import SENTENCES, Pronoun
from .training import one_thread

RECORDED = FOLDER / "encoder_heads.json"
LAYERS, HEADS = 6, 12
ALL = LAYERS * HEADS
Score = Callable[[Tensor], Tensor]  # (L, B, h, T, T) -> (L, h)
ROLES = ("token before", "token after", "itself", "first token", "last token")

# ------------------------------------------------------------------------------------- patterns


@torch.no_grad()
def patterns(sentences: Sequence[str] = SENTENCES) -> list[Tensor]:
    """The encoder's attention weights, one tensor a sentence, without padding.

    Returns:
        For each sentence (L, 1, h, T, T), T its own number of tokens, [CLS] and [SEP] included.
    """
    encoder = load_encoder()
    ids, lengths, _ = encoder.tokenize(sentences)
    _, weights = encoder.run(ids, lengths)
    return [weights[:, i : i + 1, :, :n, :n] for i, n in enumerate(lengths.tolist())]


def tokens_of(sentence: str) -> list[str]:
    """The encoder's tokens of a sentence, as strings."""
    return load_encoder().tokenize([sentence])[2][0]


def without_marks(found: list[Tensor]) -> list[Tensor]:
    """The same patterns without [CLS] and [SEP]: rows rescaled to add up to 1 over the words."""
    inner = [weights[..., 1:-1, 1:-1] for weights in found]
    return [weights / weights.sum(-1, keepdim=True) for weights in inner]


def shuffled(found: list[Tensor], seed: int = 0) -> list[Tensor]:
    """The same weights, each row in random order: as sharp as before, but nowhere in particular."""
    g = torch.Generator().manual_seed(seed)
    return [w.gather(-1, torch.rand(w.shape, generator=g).argsort(-1)) for w in found]


def over_sentences(score: Score, found: list[Tensor]) -> Tensor:
    """A score's mean over the sentences: (L, h)."""
    return torch.stack([score(weights) for weights in found]).mean(0)


def role_scores(found: list[Tensor], previous: Score, first: Score) -> dict[str, Tensor]:
    """Five scores of every head, the mean over the sentences.

    Args:
        found: as `patterns` makes them.
        previous, first: measure the weight on the token before and on token 0. With rows and
            columns exchanged, the first measures the token after; read from the end, the second
            measures the last token.

    Returns:
        Role -> (L, h).
    """
    measures: dict[str, Score] = {
        "token before": previous,
        "token after": lambda weights: previous(weights.mT),
        "itself": lambda weights: weights.diagonal(0, -2, -1).mean((-3, -1)),
        "first token": first,
        "last token": lambda weights: first(weights.flip(-1)),
    }
    return {role: over_sentences(score, found) for role, score in measures.items()}


def best_role(scores: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Each head's highest score (L, h), and the number of the role that has it."""
    return torch.stack([scores[role] for role in ROLES]).max(0)


def chance(found: list[Tensor], previous: Score, first: Score, seeds: int = 5) -> float:
    """The highest score that any head has in any role when each row's weights are shuffled."""
    highest = [
        best_role(role_scores(shuffled(found, seed), previous, first))[0].max().item()
        for seed in range(seeds)
    ]
    return max(highest)


def without_a_role(best: Tensor, thresholds: Sequence[float]) -> list[int]:
    """How many heads have no score at or above each threshold; `best` as from `best_role`."""
    return [int((best < threshold).sum()) for threshold in thresholds]


# ------------------------------------------------------------------------------------- pictures

CAT = SENTENCES[0]
# letter -> (layer, head): shown without names
PICTURES = {"A": (0, 2), "B": (1, 8), "C": (4, 5), "D": (0, 0), "E": (5, 4)}
LABELS = (
    "the token before",
    "the token after",
    "the first token, [CLS]",
    "nearly everything, a little of each",
    "`it` looks at `cat`: what the pronoun stands for",
    "none of these",
)


def plot_pictures(pictures: dict[str, tuple[int, int]] = PICTURES, sentence: str = CAT):
    """Draw a few heads' patterns on one sentence, without saying which heads they are.

    Returns:
        (figure, alt text).
    """
    weights, tokens = patterns([sentence])[0][:, 0], tokens_of(sentence)
    figure, axes = new_figure(10, 6.4, nrows=2, ncols=3)
    for ax, (letter, (layer, head)) in zip(axes.flat, pictures.items(), strict=False):
        image = ax.imshow(weights[layer, head], cmap=MAP, vmin=0, vmax=1)
        ax.set_title(letter)
        ax.set_xticks(range(len(tokens)), tokens, rotation=90, size=8)
        ax.set_yticks(range(len(tokens)), tokens, size=8)
        ax.set(xlabel="key", ylabel="query")
    for ax in axes.flat[len(pictures) :]:
        ax.axis("off")
    figure.colorbar(image, ax=axes.flat[-1], label="attention weight", location="left")
    words = []
    for letter, (layer, head) in pictures.items():
        largest = weights[layer, head].max(-1)
        where = [
            f"{t} to {tokens[i]} {w:.2f}"
            for t, i, w in zip(tokens, largest.indices, largest.values, strict=True)
        ]
        words.append(f"{letter}: " + ", ".join(where))
    return figure, f"{len(pictures)} patterns; largest weight of each row. " + ". ".join(words)


def plot_maps(scores: dict[str, Tensor], entropy: Tensor):
    """Draw scores and entropy of all heads, a small map each.

    Args:
        scores: role -> (L, h).
        entropy: (L, h), in nats.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(10, 4.6, nrows=2, ncols=3, sharex=True, sharey=True)
    maps = [*scores.items(), ("entropy", entropy)]
    words = []
    for ax, (name, values) in zip(axes.flat, maps, strict=True):
        top = 1 if name != "entropy" else None
        image = ax.imshow(values, cmap=MAP, vmin=0, vmax=top, aspect="auto")
        ax.set_title(name)
        ax.set_xticks(range(0, HEADS, 2))
        ax.set_yticks(range(LAYERS))
        unit = "nats" if name == "entropy" else "score"
        figure.colorbar(image, ax=ax, label=unit)
        layer, head = divmod(int(values.argmax()), HEADS)
        words.append(f"{name}: highest {values.max():.2f}, layer {layer} head {head}")
    for ax in axes[1]:
        ax.set_xlabel("head")
    for ax in axes[:, 0]:
        ax.set_ylabel("layer")
    return figure, "Maps of 6 layers by 12 heads. " + "; ".join(words) + "."


def plot_thresholds(curves: dict[str, Tensor]):
    """Draw how many heads fit no role, for every place where the line may be drawn.

    Args:
        curves: what was measured -> each head's highest score (L, h).

    Returns:
        (figure, alt text).
    """
    thresholds = torch.linspace(0, 1, 101).tolist()
    figure, ax = new_figure(6.8, 3.8)
    styles = zip((BLUE, ORANGE, GREY), ("-", "--", ":"), strict=True)
    words = []
    for (name, best), (colour, line) in zip(curves.items(), styles, strict=False):
        ax.plot(thresholds, without_a_role(best, thresholds), line, color=colour, label=name)
        at = ", ".join(f"{n} at {t}" for t in (0.3, 0.6) for n in without_a_role(best, [t]))
        words.append(f"{name}: {at}")
    ax.set(
        xlabel="threshold: the score that counts as a role",
        ylabel="heads that fit no role",
        ylim=(0, ALL + 3),
        xlim=(0, 1),
    )
    ax.set_yticks(range(0, ALL + 1, 12))
    ax.grid(True)
    ax.legend(loc="lower right")
    return figure, f"Of {ALL} heads, those that fit no role, by threshold. " + "; ".join(words)


# ------------------------------------------------------------------------------------- pronouns


@torch.no_grad()
def pronoun_hits(cases: Sequence[Pronoun]) -> tuple[Tensor, float]:
    """Whether each head's pronoun looks at the noun it stands for more than at any other word.

    The pronoun itself, [CLS], [SEP] and the full stop are left out.

    Returns:
        (n, L, h), 1.0 for a hit; and what guessing a word would give, the mean over the sentences.
    """
    hits, guesses = [], []
    for case, weights in zip(cases, patterns([c.sentence for c in cases]), strict=True):
        tokens = tokens_of(case.sentence)
        row = len(tokens) - 1 - tokens[::-1].index(case.pronoun)
        words = weights[:, 0, :, row].clone()  # (L, h, T)
        words[..., [0, row, -2, -1]] = -1
        hits.append(words.argmax(-1) == tokens.index(case.stands_for))
        guesses.append(1 / (len(tokens) - 4))
    return torch.stack(hits).float(), sum(guesses) / len(guesses)


def plot_pronouns(heads: dict[str, tuple[int, int]], cases: Sequence[Pronoun]):
    """Draw where the pronouns of some sentences look, for some heads.

    Args:
        heads: title -> (layer, head).

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9.5, 4.6, nrows=len(cases), ncols=len(heads), sharey=True)
    words = []
    for line, (case, weights) in enumerate(
        zip(cases, patterns([c.sentence for c in cases]), strict=True)
    ):
        tokens = tokens_of(case.sentence)
        row = len(tokens) - 1 - tokens[::-1].index(case.pronoun)
        for ax, (title, (layer, head)) in zip(axes[line], heads.items(), strict=True):
            values = weights[layer, 0, head, row]
            meant = [token == case.stands_for for token in tokens]
            ax.bar(range(len(tokens)), values, color=[GREEN if m else GREY for m in meant])
            ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right", size=8)
            ax.set_ylim(0, 1)
            if not line:
                ax.set_title(title)
            at = int(values.argmax())
            words.append(f"{title}, “{case.sentence}”: most on {tokens[at]}, {values[at]:.2f}")
        axes[line, 0].set_ylabel(f"weight given by “{case.pronoun}”")
    return figure, "Green: what the pronoun stands for. " + "; ".join(words) + "."


# ------------------------------------------------------------------------------------- ablation


class Drift:
    """A loss for `head_importance`: how far sentence embeddings move when heads are off.

    1 - cosine between the embedding with the heads that are on and the one of the whole model, the
    mean over the sentences: 0 when nothing changes.

    Args:
        sentences: some.
        calls: shows a progress bar over so many calls; None shows none.
    """

    def __init__(self, sentences: Sequence[str], calls: int | None = None) -> None:
        self.encoder = load_encoder()
        self.ids, self.lengths, _ = self.encoder.tokenize(sentences)
        self.whole = self._embed(torch.ones(LAYERS, HEADS))
        self.bar = tqdm(total=calls, desc="heads", leave=False) if calls else None

    @torch.no_grad()
    def _embed(self, head_mask: Tensor) -> Tensor:
        return pool(self.encoder.run(self.ids, self.lengths, head_mask)[0], self.lengths)

    def __call__(self, head_mask: Tensor) -> float:
        """The loss for a head mask (L, h), 1.0 = on."""
        drift = 1 - (self.whole * self._embed(head_mask)).sum(-1).mean().item()
        if self.bar is not None:
            self.bar.update()
            if self.bar.n >= self.bar.total:
                self.bar.close()
        return drift


def mask_without(heads: Sequence[int]) -> Tensor:
    """A head mask (L, h) with some heads off; heads are numbered 0 … 71 through all layers."""
    mask = torch.ones(ALL)
    mask[list(heads)] = 0
    return mask.view(LAYERS, HEADS)


def ranks(values: Tensor) -> Tensor:
    """The rank of each value, from 0."""
    return values.flatten().argsort().argsort().double()


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's rank correlation of two tables of numbers that don't repeat."""
    return torch.corrcoef(torch.stack([ranks(one), ranks(other)]))[0, 1].item()


def plot_importance(importance: Tensor, best: Tensor):
    """Draw each head's importance against its highest role score, a colour a layer.

    Args:
        importance, best: (L, h).

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.8, 4)
    colours = (BLUE, ORANGE, GREEN, SKY, PURPLE, VERMILION)
    markers = ("o", "s", "^", "v", "D", "P")
    for layer in range(LAYERS):
        style = {"color": colours[layer], "marker": markers[layer], "s": 24}
        ax.scatter(best[layer], importance[layer], label=f"layer {layer}", **style)
    layer, head = divmod(int(best.argmax()), HEADS)
    ax.annotate(
        f"layer {layer}, head {head}",
        (best[layer, head], importance[layer, head]),
        xytext=(-12, 60),
        textcoords="offset points",
        ha="right",
        arrowprops={"arrowstyle": "-", "color": GREY},
    )
    ax.set(
        xlabel="highest role score", ylabel="importance (1 - cosine)", yscale="log", xlim=(0, 1.03)
    )
    ax.grid(True)
    figure.legend(loc="outside right center")
    shares = (importance.sum(1) / importance.sum()).tolist()
    words = ", ".join(f"layer {n}: {share:.0%}" for n, share in enumerate(shares))
    return figure, (
        f"Importance against highest role score, one point a head. Share of the summed importance, "
        f"{words}. The clearest head, layer {layer} head {head}, has {importance[layer, head]:.4f}."
    )


# --------------------------------------------------------------------- recorded orders of removal

RANKED = 20  # sentences that the order is chosen on; the other 40 are held out
STEP = 6  # heads removed at a time
ORDERS = ("joint effect", "single effects", "at random", "largest first")


@dataclass(frozen=True)
class Removal:
    """What the recorded orders were made on.

    Attributes:
        sentences: all of them.
        ranked: how many the order is chosen on; the others are held out.
        step: heads removed at a time.
    """

    sentences: int = len(SENTENCES)
    ranked: int = RANKED
    step: int = STEP


@dataclass(frozen=True)
class RemovalRun:
    """One order of removal, chosen on some sentences and measured on others.

    Attributes:
        order: one of `ORDERS`.
        seed: fixes which sentences are held out.
        heads: 0 … 71 in the order of removal.
        held_out: cosine with the whole model's embedding, mean over the held-out sentences, with
            0, 6, 12, … 72 heads off.
        steps, planned: heads removed, and to be removed.
    """

    order: str
    seed: int
    heads: tuple[int, ...]
    held_out: tuple[float, ...]
    steps: int
    planned: int
    seconds: float


def split(seed: int) -> tuple[list[str], list[str]]:
    """Sentences to choose an order on, and those that are held out."""
    order = torch.randperm(len(SENTENCES), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = [SENTENCES[i] for i in order]
    return chosen[:RANKED], chosen[RANKED:]


def single_order(loss: Callable[[Tensor], float]) -> list[int]:
    """Heads by their single effects, smallest first."""
    return torch.tensor([loss(mask_without([head])) for head in range(ALL)]).argsort().tolist()


def joint_order(loss: Callable[[Tensor], float]) -> list[int]:
    """Heads by their effect on top of those that are gone already, ranked anew after every six."""
    gone: list[int] = []
    while len(gone) < ALL:
        left = [head for head in range(ALL) if head not in gone]
        effects = torch.tensor([loss(mask_without([*gone, head])) for head in left])
        gone += [left[i] for i in effects.argsort().tolist()[:STEP]]
    return gone


def removal_curve(order: Sequence[int], loss: Callable[[Tensor], float]) -> list[float]:
    """Cosine with the whole model's embeddings, with 0, 6, 12, … 72 heads of the order off."""
    return [1 - loss(mask_without(order[:n])) for n in range(0, ALL + 1, STEP)]


def remove_heads(order: str, *, seed: int = 0, progress: bool = True) -> RemovalRun:
    """Choose one of the `ORDERS` on some sentences and measure it on the others.

    Raises:
        ValueError: if there is no such order.
    """
    if order not in ORDERS:
        raise ValueError(f"no order {order!r}; there are {', '.join(ORDERS)}")
    ranked, held_out = split(seed)
    start = perf_counter()
    with one_thread():
        loss = Drift(ranked, calls=sum(range(STEP, ALL + 1, STEP)) if progress else None)
        match order:
            case "joint effect":
                heads = joint_order(loss)
            case "single effects":
                heads = single_order(loss)
            case "largest first":
                heads = single_order(loss)[::-1]
            case "at random":
                g = torch.Generator().manual_seed(seed)
                heads = torch.randperm(ALL, generator=g).tolist()
        curve = removal_curve(heads, Drift(held_out))
    return RemovalRun(
        order=order,
        seed=seed,
        heads=tuple(heads),
        held_out=tuple(round(cosine, 4) for cosine in curve),
        steps=ALL,
        planned=ALL,
        seconds=round(perf_counter() - start, 2),
    )


def recorded_runs(path: Path = RECORDED) -> list[RemovalRun]:
    """The recorded orders."""
    return read_runs(path, RemovalRun)


def record(path: Path, seeds: int = 10) -> None:
    """Make all orders and write them to `path`; a stop writes those that are finished."""
    jobs = [{"order": order, "seed": seed} for seed in range(seeds) for order in ORDERS]
    runs = make_runs(jobs, remove_heads)
    write_runs(path, "python -m attention_lab.encoder_heads record", Removal(), runs=runs)


def plot_removal(runs: list[RemovalRun]):
    """Draw the recorded curves: median over the splits, and the range as a band.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.8, 3.8)
    counts = list(range(0, ALL + 1, STEP))
    styles = zip(ORDERS, (BLUE, ORANGE, GREY, VERMILION), ("-", "--", ":", "-."), strict=True)
    words = []
    for order, colour, line in styles:
        curves = torch.tensor([run.held_out for run in select(runs, order=order)])
        middle = curves.median(0).values
        ax.fill_between(counts, curves.min(0).values, curves.max(0).values, color=colour, alpha=0.2)
        ax.plot(counts, middle, line, color=colour, label=order)
        at = ", ".join(f"{middle[n // STEP]:.2f} without {n}" for n in (6, 18, 36, 54, 72))
        words.append(f"{order}: {at}")
    ax.set(
        xlabel="heads off, of 72",
        ylabel="cosine with the whole\nmodel's embedding",
        xticks=counts[::2],
        ylim=(0.5, 1.01),
    )
    ax.grid(True)
    ax.legend(loc="lower left", title="removed by")
    return figure, "Median cosine on held-out sentences. " + "; ".join(words) + "."


def removal_table(runs: list[RemovalRun]) -> str:
    """The recorded curves in plain text: median cosine, lowest and highest over the splits."""
    counts = (6, 18, 36, 48, 60, 72)
    curves = {order: [run.held_out for run in select(runs, order=order)] for order in ORDERS}
    lines = ["heads off" + "".join(f"{order:>19}" for order in ORDERS)]
    for n in counts:
        columns = [torch.tensor(curve)[:, n // STEP] for curve in curves.values()]
        cells = [f"{c.median():.2f} ({c.min():.2f}-{c.max():.2f})" for c in columns]
        lines.append(f"{n:9}" + "".join(f"{cell:>19}" for cell in cells))
    return "\n".join(lines)


# --------------------------------------------------------------------- another pattern, same output


def another_pattern(weights: Tensor, values: Tensor) -> Tensor:
    """Find other attention weights of one query that give exactly the same output.

    Takes as much weight as possible from the key that has most, along directions that leave both
    the output and the sum of the weights as they are.

    Args:
        weights: (T,), 0 or more, adding up to 1.
        values: (T, d).

    Returns:
        (T,), float64; the weights themselves where there are no others, as in general for
        T <= d + 1.
    """
    kept = torch.cat([values.double(), torch.ones(len(values), 1, dtype=torch.float64)], 1)
    other, most = weights.double().clone(), int(weights.argmax())
    free = torch.ones(len(other), dtype=torch.bool)  # keys whose weight may still change
    for _ in range(len(other)):
        wish = torch.zeros_like(other)
        wish[most] = -1
        left, sizes, _ = torch.linalg.svd(kept[free], full_matrices=False)
        left = left[:, sizes > 1e-9 * sizes[0]]
        step = torch.zeros_like(other)
        step[free] = wish[free] - left @ (left.T @ wish[free])  # changes nothing that is kept
        if not free[most] or step.norm() < 1e-9:
            break
        reach = torch.where(step < -1e-12, -other / step, torch.inf)  # up to where a weight is 0
        other = (other + reach.min() * step).clamp(min=0)
        free[reach.argmin()] = False
    return other


@dataclass(frozen=True)
class OneHead:
    """One head of layer 0 on one text: its query's weights, and all values.

    Attributes:
        tokens: T of them.
        weights: (T,), of the query.
        values: (T, d).
    """

    tokens: list[str]
    weights: Tensor
    values: Tensor


@torch.no_grad()
def read_head(texts: Sequence[str], head: int, query: int) -> list[OneHead]:
    """Read a head of layer 0: there a token's value depends on that token and its place alone.

    Args:
        head: 0 … 11.
        query: the token whose weights are wanted; no text may be shorter.
    """
    encoder = load_encoder()
    ids, lengths, tokens = encoder.tokenize(texts)
    _, weights = encoder.run(ids, lengths)
    layer, x = encoder.layers[0], encoder.embed_tokens(ids)
    values = (x @ layer["w_v"] + layer["b_v"]).unflatten(-1, (HEADS, -1))[:, :, head]
    return [
        OneHead(tokens[i], weights[0, i, head, query, :n], values[i, :n])
        for i, n in enumerate(lengths.tolist())
    ]


def distance(one: Tensor, other: Tensor) -> float:
    """Half the sum of |differences| of two patterns: 0 equal, 1 no key in common."""
    return (one.double() - other.double()).abs().sum().item() / 2


def output_error(pattern: Tensor, head: OneHead) -> float:
    """How far a pattern's output is from the head's own, relative to the size of the latter."""
    truth = head.weights.double() @ head.values.double()
    return ((pattern.double() @ head.values.double() - truth).norm() / truth.norm()).item()


def changed_texts(text: str, word: str = "tree") -> list[str]:
    """The text with one of its words replaced, for each word that stands in it once."""
    words = text.split()
    return [
        " ".join([*words[:i], word, *words[i + 1 :]])
        for i, old in enumerate(words)
        if old.isalpha() and words.count(old) == 1
    ]


def errors_elsewhere(text: str, head: int, query: int, frozen: Sequence[Tensor]) -> Tensor:
    """Use patterns found on one text on texts in which one word is another.

    Texts in which the query or the number of tokens changed are left out.

    Args:
        text: the one that the patterns were found on.
        head, query: as for `read_head`.
        frozen: patterns (T,).

    Returns:
        (texts, patterns): the error of each pattern's output, as `output_error` measures it.
    """
    here, *heads = read_head([text, *changed_texts(text)], head, query)
    same = [
        other
        for other in heads
        if len(other.tokens) == len(here.tokens) and other.tokens[query] == here.tokens[query]
    ]
    return torch.tensor([[output_error(p, other) for p in frozen] for other in same])


def plot_two_patterns(head: OneHead, other: Tensor):
    """Draw two patterns that give the same output.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9.5, 3.6, nrows=2, sharex=True, sharey=True)
    at = range(len(head.tokens))
    axes[0].bar(at, head.weights, color=BLUE)
    axes[1].bar(at, other, color=ORANGE)
    for ax, title in zip(axes, ("the head's own pattern", "another one, same output"), strict=True):
        ax.set(title=title, ylabel="weight")
    axes[1].set_xlim(-0.6, len(head.tokens) - 0.4)
    axes[1].set_xticks(at, head.tokens, rotation=90, size=7)
    axes[1].set_xlabel("key")
    most = int(head.weights.argmax())
    return figure, (
        f"Weights of one query over {len(head.tokens)} keys. The key {head.tokens[most]} has "
        f"{head.weights[most]:.2f} in one pattern and {other[most]:.2f} in the other; "
        f"{distance(head.weights, other):.0%} of the weight lies elsewhere."
    )


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded orders, or make one."""
    parser, commands, _ = command_line("attention_lab.encoder_heads", __doc__, RECORDED)
    one = commands.add_parser("remove", help="choose one order of removal")
    one.add_argument("--order", choices=ORDERS, default=ORDERS[0])
    one.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, chosen.seeds)
        return
    print(json.dumps(asdict(remove_heads(chosen.order, seed=chosen.seed))))


if __name__ == "__main__":
    sys.exit(main())
