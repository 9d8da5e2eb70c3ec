"""Heads or experts: one block, two tasks, and which of the two each addition repairs.

A token has a name, asks for the values of two names (the look-ups of notebook 02), and shows one of
128 symbols, each with an answer that was drawn by lot: a table to be learned by heart. The block
was built to keep the two apart: attention and feed-forward network read the same token side by
side, queries and keys see names only, and a linear read-out answers. What other tokens know comes
through attention or not at all, and the table needs hidden units of the feed-forward network.

The feed-forward network is one expert or eight of the same size; a router picks one a token and
multiplies the expert's answer by its probability (as in Fedus et al. 2021, arXiv 2101.03961), with
their balance loss E · Σ_e f_e P_e added to the loss.

`python -m attention_lab.heads_and_experts record` repeats the recorded runs (some minutes).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .depth import UNMOVED, Layers, double_values, random_stack
from .figures import BLUE, GREY, ORANGE, heat_map, new_figure
from .lookups import LookupTask
from .recordings import (
    FOLDER,
    beside,
    command_line,
    draw_live,
    make_runs,
    read_runs,
    select,
    write_runs,
)
from .training import one_thread, train

RECORDED = FOLDER / "heads_and_experts.json"
ORDERS = ("parallel", "sequential")
SETTINGS = ((1, 1), (2, 1), (1, 8), (2, 8))  # heads, experts
LOOKUPS = 2
HEADS_WIDTH = 32
HIDDEN = 8  # of one expert
STEPS = 600
LEARNING_RATE = 0.01
BALANCE = 0.01
MODEL_WIDTH = 768  # of the model whose axes can be moved
Router = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TableAndLookups:
    """Two look-ups and a table: the token is [name | two names asked for | value | symbol | 1].

    The symbols' codes and answers are drawn from the seed, once for all sequences.
    """

    symbols: int = 128
    code_width: int = 16
    seed: int = 0

    @property
    def lookups(self) -> LookupTask:
        """The task of notebook 02, with two look-ups."""
        return LookupTask(LOOKUPS)

    @property
    def names_width(self) -> int:
        """What queries and keys see: the name and the names asked for."""
        return self.lookups.width - self.lookups.value_width

    @property
    def width(self) -> int:
        """D, the width of a token; its last coordinate is always 1."""
        return self.lookups.width + self.code_width + 1

    def table(self) -> tuple[Tensor, Tensor]:
        """Codes (symbols, code_width) of one length, and answers (symbols, n), fair signs."""
        generator = torch.Generator().manual_seed(500 + self.seed)
        codes = torch.randn(self.symbols, self.code_width, generator=generator)
        codes = F.normalize(codes, dim=-1) * self.code_width**0.5
        shape = (self.symbols, self.lookups.value_width)
        return codes, torch.randint(2, shape, generator=generator) * 2.0 - 1

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw sequences.

        Returns:
            x (B, T, D), answers (B, T, 3, n) to the two look-ups and the table, symbols (B, T).
        """
        codes, table = self.table()
        batch = self.lookups.draw(size, generator)
        symbols = torch.randint(self.symbols, batch.x.shape[:2], generator=generator)
        x = torch.cat([batch.x, codes[symbols], torch.ones(*symbols.shape, 1)], -1)
        return x, torch.cat([batch.answers, table[symbols][:, :, None]], 2), symbols


def route_to_one(
    x: Tensor, w_gate: Tensor, k: int = 1, renormalize: bool = False
) -> tuple[Tensor, Tensor]:
    """The router of the recorded runs: the most probable expert and its probability.

    Returns:
        weights and indices, (B, T, 1) each.

    Raises:
        ValueError: if k is not 1 or the weight shall be renormalised.
    """
    if k != 1 or renormalize:
        raise ValueError(f"this router sends a token to one expert, not {k}, and keeps its weight")
    best = (x @ w_gate).softmax(-1).max(-1, keepdim=True)
    return best.values, best.indices


class Block(nn.Module):
    """x + attention + feed-forward, then a linear read-out.

    Args:
        num_heads: divides `HEADS_WIDTH`; the parameters do not depend on it.
        num_experts: 1 is an ordinary feed-forward network, without a router.
        hidden: GELUs of one expert.
        order: "parallel" (both read x) or "sequential" (the network reads x + attention).
        head_start: added to the router's score of expert 0 at the start.
        router: (x, w_gate, k, renormalize) -> (weights, indices) (B, T, k).
        seed: fixes first weights and the table.

    Raises:
        ValueError: if `order` is unknown or h does not divide the width.
    """

    def __init__(
        self,
        num_heads: int,
        num_experts: int,
        *,
        hidden: int = HIDDEN,
        order: str = "parallel",
        head_start: float = 0.0,
        router: Router = route_to_one,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order is one of {ORDERS}, not {order!r}")
        if num_heads < 1 or HEADS_WIDTH % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the width {HEADS_WIDTH}")
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape: int, scale: float = 0.1) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        self.task = TableAndLookups(seed=seed)
        self.num_heads, self.order, self.router = num_heads, order, router
        D, names = self.task.width, self.task.names_width
        self.w_q, self.w_k = weights(names, HEADS_WIDTH), weights(names, HEADS_WIDTH)
        self.w_v = weights(D, HEADS_WIDTH)
        self.w_o = weights(HEADS_WIDTH, D, scale=HEADS_WIDTH**-0.5)
        self.w_in = weights(num_experts, D, hidden, scale=D**-0.5)
        self.w_out = weights(num_experts, hidden, D, scale=hidden**-0.5)
        self.w_gate = weights(D, num_experts, scale=D**-0.5) if num_experts > 1 else None
        n = self.task.lookups.value_width
        self.read_out = weights(D, (LOOKUPS + 1) * n, scale=D**-0.5)
        if self.w_gate is not None:
            with torch.no_grad():
                self.w_gate[-1, 0] += head_start  # the last coordinate of a token is 1

    def attention(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, D) -> what it adds (B, T, D), weights (B, h, T, T)."""
        names = x[..., : self.task.names_width]
        q, k, v = (
            one.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for one in (names @ self.w_q, names @ self.w_k, x @ self.w_v)
        )
        weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2) @ self.w_o, weights

    def feed_forward(self, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """y (B, T, D) -> what it adds (B, T, D), and each token's expert (B, T).

        Every expert computes its own tokens only, so counted operations are those one token uses.
        """
        if self.w_gate is None:
            return F.gelu(y @ self.w_in[0]) @ self.w_out[0], None
        weights, indices = self.router(y, self.w_gate, 1, renormalize=False)
        out = torch.zeros_like(y)
        for expert in range(len(self.w_in)):
            mine = indices[..., 0] == expert  # (B, T)
            if mine.any():
                z = F.gelu(y[mine] @ self.w_in[expert]) @ self.w_out[expert]
                out[mine] = z * weights[mine]
        return out, indices[..., 0]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """x (B, T, D) -> answers (B, T, 3, n), what the router saw (B, T, D), experts (B, T)."""
        stream = x + self.attention(x)[0]
        y = stream if self.order == "sequential" else x
        out, chosen = self.feed_forward(y)
        answers = (stream + out) @ self.read_out
        return answers.unflatten(-1, (LOOKUPS + 1, -1)), y, chosen

    def sizes(self) -> tuple[int, int]:
        """Parameters of attention, and of feed-forward network and router."""
        attention = (self.w_q, self.w_k, self.w_v, self.w_o)
        network = [w for w in (self.w_in, self.w_out, self.w_gate) if w is not None]
        return sum(w.numel() for w in attention), sum(w.numel() for w in network)


def balance_loss(router_input: Tensor, w_gate: Tensor, chosen: Tensor) -> Tensor:
    """E · Σ_e f_e P_e: share of tokens sent to e times its mean probability; 1 when both are even.

    Source: Fedus et al. 2021, arXiv 2101.03961, section 2.2 (without α).
    """
    count = w_gate.shape[1]
    shares = torch.bincount(chosen.flatten(), minlength=count) / chosen.numel()
    probabilities = (router_input @ w_gate).softmax(-1).mean((0, 1))
    return count * (shares * probabilities).sum()


def flops_per_token(block: Block) -> tuple[int, int]:
    """Operations one token takes in attention, and in feed-forward network with router, counted.

    Measured by PyTorch's counter, which counts multiply and add of matrix products as two.
    """
    x, _, _ = block.task.draw(16, torch.Generator().manual_seed(7))
    found = []
    for part in (block.attention, block.feed_forward):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            part(x)
        found.append(counter.get_total_flops() // (x.shape[0] * x.shape[1]))
    return found[0], found[1]


# --------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Run:
    """One training and its accuracies on 500 fresh sequences.

    Attributes:
        lookup: share of look-ups with all signs right, mean over both.
        table: share of symbols' answers with all signs right.
        routing: share of tokens sent to each expert; (1.0,) for one expert.
        steps: how many were made; fewer than `planned` when somebody pressed stop.
    """

    heads: int
    experts: int
    hidden: int
    order: str
    head_start: float
    balance: float
    seed: int
    steps: int
    planned: int
    attention_parameters: int
    ffn_parameters: int
    lookup: float
    table: float
    routing: tuple[float, ...]
    seconds: float

    @property
    def busiest(self) -> float:
        """The largest share of tokens that one expert gets."""
        return max(self.routing)


def train_block(
    heads: int,
    experts: int,
    *,
    hidden: int = HIDDEN,
    order: str = "parallel",
    head_start: float = 0.0,
    balance: float = BALANCE,
    router: Router = route_to_one,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> tuple[Run, Block]:
    """Train one block on batches of 16 fresh sequences, then measure it on 500 others.

    Args:
        balance: α, the factor of the balance loss.
        heads, experts and the others: as for `Block`.

    Returns:
        The measured run, and the block.
    """
    block = Block(
        heads,
        experts,
        hidden=hidden,
        order=order,
        head_start=head_start,
        router=router,
        seed=seed,
    )
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        x, truth, _ = block.task.draw(16, generator)
        answers, seen, chosen = block(x)
        loss = F.mse_loss(answers, truth)
        if chosen is None or not balance:
            return loss
        return loss + balance * balance_loss(seen, block.w_gate, chosen)

    training = train(
        block,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"heads {heads}, experts {experts}",
        progress=progress,
    )
    x, truth, _ = block.task.draw(500, torch.Generator().manual_seed(7))
    with torch.no_grad():
        answers, _, chosen = block(x)
    right = ((answers > 0) == (truth > 0)).all(-1).float().mean((0, 1))
    routing = (1.0,)
    if chosen is not None:
        counts = torch.bincount(chosen.flatten(), minlength=experts) / chosen.numel()
        routing = tuple(round(share, 4) for share in counts.tolist())
    sizes = block.sizes()
    run = Run(
        heads=heads,
        experts=experts,
        hidden=hidden,
        order=order,
        head_start=head_start,
        balance=balance,
        seed=seed,
        steps=training.steps,
        planned=steps,
        attention_parameters=sizes[0],
        ffn_parameters=sizes[1],
        lookup=round(right[:LOOKUPS].mean().item(), 4),
        table=round(right[LOOKUPS].item(), 4),
        routing=routing,
        seconds=training.seconds,
    )
    return run, block


# -------------------------------------------------------------------------------- recorded runs

WIDE = 64  # hidden units of one expert as large as eight of 8
HEAD_START = 4.0


def recorded_table(path: Path = RECORDED) -> list[Run]:
    """The recorded runs of the 2 × 2 table, and one wide expert beside them."""
    return read_runs(path, Run, "table")


def recorded_collapse(path: Path = RECORDED) -> list[Run]:
    """The recorded runs with a head start, without and with balance loss; and with neither."""
    return read_runs(path, Run, "collapse")


def recorded_orders(path: Path = RECORDED) -> list[Run]:
    """The recorded runs of one head and one wide expert, side by side and one after the other."""
    return read_runs(path, Run, "orders")


def plan(seeds: int = 10) -> tuple[list[dict], list[dict], list[dict]]:
    """Arguments of `train_block` for the three lists of recorded runs."""
    table = [{"heads": h, "experts": e} for h, e in SETTINGS]
    table.append({"heads": 2, "experts": 1, "hidden": WIDE})
    collapse = [
        {"heads": 2, "experts": 8, "head_start": head_start, "balance": balance}
        for head_start, balance in ((HEAD_START, 0.0), (HEAD_START, BALANCE), (0.0, 0.0))
    ]
    orders = [{"heads": 1, "experts": 1, "hidden": WIDE, "order": order} for order in ORDERS]
    every = [
        [{**job, "seed": s} for job in jobs for s in range(seeds)]
        for jobs in (table, collapse, orders)
    ]
    return every[0], every[1], every[2]


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    made = [make_runs(jobs, lambda **job: train_block(**job)[0]) for jobs in plan(seeds)]
    write_runs(
        path,
        "python -m attention_lab.heads_and_experts record",
        TableAndLookups(),
        **dict(zip(("table", "collapse", "orders"), made, strict=True)),
    )


# --------------------------------------------------------------------------------------- figures


def summary(runs: list[Run]) -> str:
    """The 2 × 2 table in plain text: medians, and (lowest, highest) over the seeds."""
    lines = [f"{'heads':>5} {'experts':>8} {'hidden':>7} seeds  look-up            table"]
    for heads, experts, hidden in [*[(h, e, HIDDEN) for h, e in SETTINGS], (2, 1, WIDE)]:
        group = select(runs, heads=heads, experts=experts, hidden=hidden)
        words = []
        for kind in ("lookup", "table"):
            found = torch.tensor([getattr(run, kind) for run in group])
            words.append(f"{found.quantile(0.5):.2f} ({found.min():.2f} to {found.max():.2f})")
        name = f"{experts} × {hidden}"
        lines.append(
            f"{heads:5d} {name:>8} {experts * hidden:7d} {len(group):5d}  {words[0]}  {words[1]}"
        )
    return "\n".join(lines)


def plot_two_by_two(live: list[Run], recorded: list[Run]):
    """Draw both accuracies for the four settings; live runs over recorded ones.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 3.4, ncols=2, sharey=True)
    names = [f"{h} head{'s' * (h > 1)},\n{e} expert{'s' * (e > 1)}" for h, e in SETTINGS]
    titles = {"lookup": "look-up: two addressings", "table": "table: learned by heart"}
    words = []
    for ax, (kind, title) in zip(axes, titles.items(), strict=True):
        for number, (heads, experts) in enumerate(SETTINGS):
            group = select(recorded, heads=heads, experts=experts, hidden=HIDDEN)
            found = [getattr(run, kind) for run in group]
            label = "recorded, one point a seed" if number == 0 else None
            at = beside(number, len(found))
            ax.scatter(at, found, s=14, color=GREY, zorder=3, label=label)
            if found:
                flat = names[number].replace("\n", " ")
                words.append(f"{kind}, {flat}: {min(found):.2f} to {max(found):.2f}")
        places = [SETTINGS.index((run.heads, run.experts)) for run in live]
        draw_live(ax, live, places, [getattr(run, kind) for run in live])
        ax.axhline(1 / 8, color=GREY, linestyle="--", linewidth=1, label="guessing, 1/8")
        ax.set_xticks(range(len(SETTINGS)), names)
        ax.set(title=title, ylim=(0, 1.05))
        ax.grid(True, axis="y")
    axes[0].set_ylabel("accuracy (all three signs right)")
    axes[1].legend(loc="lower right", bbox_to_anchor=(1, 0.12))
    return figure, "Accuracy in the four settings, recorded runs: " + "; ".join(words) + "."


class Counts(NamedTuple):
    """A learner's counting functions, as notebooks 4, 9 and 10 build them."""

    computations: Callable[[int, int], int]
    attention_parameters: Callable[[int, int], int]
    expert_parameters: Callable[[int, int, int, int], tuple[int, int]]


def plot_axes(counts: Counts, num_layers: int, num_heads: int, num_experts: int):
    """Draw a model's three axes: layers on top of each other, heads and experts side by side.

    Args:
        counts: what is counted is counted with these, at D = 768 and 4·768 inside an expert.
        num_experts: one of them is used by each token.

    Returns:
        (figure, alt text).

    Raises:
        ValueError: whatever the functions refuse.
    """
    attention = num_layers * counts.attention_parameters(MODEL_WIDTH, num_heads)
    total, active = (
        num_layers * n
        for n in counts.expert_parameters(MODEL_WIDTH, 4 * MODEL_WIDTH, num_experts, 1)
    )
    figure, ax = new_figure(8.4, 0.6 + 0.28 * num_layers)
    for layer in range(num_layers):
        for head in range(num_heads):
            ax.barh(layer, 0.9 / num_heads, 0.7, left=head / num_heads, color=BLUE)
        for expert in range(num_experts):
            colour, left = (ORANGE if expert == 0 else GREY), 1.1 + expert / num_experts
            ax.barh(layer, 0.9 / num_experts, 0.7, left=left, color=colour)
    ax.set_xticks(
        [0.5, 1.6], [f"attention: {num_heads} heads", f"experts: 1 of {num_experts} used"]
    )
    ax.set_yticks(range(num_layers))
    ax.set(ylabel="layer", xlim=(-0.05, 2.15))
    ax.tick_params(length=0)
    return figure, (
        f"{num_layers} layers, each with {num_heads} heads and {num_experts} experts, of which a "
        f"token uses one. {counts.computations(num_layers, num_heads)} attention patterns; a chain "
        f"of {num_layers} attentions; {attention / 1e6:.1f} million attention parameters; "
        f"{total / 1e6:.1f} million in the experts, {active / 1e6:.1f} million of them used by a "
        "token."
    )


@one_thread()
@torch.no_grad()
def reach_of_parts(
    attend: Callable, moe: Callable, num_layers: int = 3, num_heads: int = 4, num_experts: int = 4
) -> Tensor:
    """What changes when a head's W_V or an expert's w_out is doubled, in random blocks, k = 1.

    A block is x + attention, then + experts. For a head its pattern counts, for an expert what it
    makes of all tokens.

    Args:
        attend: (x, w_q, w_k, w_v, w_o, h) -> (out, weights), as in `heads`.
        moe: (x, w_gate, w_in, w_out, k) -> x-shaped, as in `experts`.

    Returns:
        Boolean (n, n), a row for each part that was changed; in each layer heads, then experts.
    """
    x, stack = random_stack(num_layers, num_heads)
    g = torch.Generator().manual_seed(1)
    D = x.shape[-1]
    for layer in stack:
        layer["w_gate"] = torch.randn(D, num_experts, generator=g) / D**0.5
        layer["w_in"] = torch.randn(num_experts, D, HIDDEN, generator=g) / D**0.5
        layer["w_out"] = torch.randn(num_experts, HIDDEN, D, generator=g) / HIDDEN**0.5

    def run(layers: Layers) -> list[Tensor]:
        y, found = x, []
        for layer, own in zip(layers, stack, strict=True):
            out, weights = attend(y, *(layer[n] for n in ("w_q", "w_k", "w_v", "w_o")), num_heads)
            y = y + out
            found += weights.unbind(1)
            for e in range(num_experts):  # alone, with its own matrices as they were
                one = slice(e, e + 1)
                found.append(moe(y, own["w_gate"][:, one], own["w_in"][one], own["w_out"][one], 1))
            y = y + moe(y, layer["w_gate"], layer["w_in"], layer["w_out"], 1)
        return found

    before, moved = run(stack), []
    for number, layer in enumerate(stack):
        changes = [double_values(stack, num_heads, number, head) for head in range(num_heads)]
        for e in range(num_experts):
            w_out = layer["w_out"].clone()
            w_out[e] *= 2
            changes.append([{**one, "w_out": w_out} if one is layer else one for one in stack])
        for changed in changes:
            pairs = zip(run(changed), before, strict=True)
            moved.append([bool((new - old).abs().max() > UNMOVED) for new, old in pairs])
    return torch.tensor(moved)


def plot_who_looks_where(block: Block):
    """Draw, for one sequence, each head's weights over tokens and the router's over experts.

    Returns:
        (figure, alt text).
    """
    x, _, _ = block.task.draw(1, torch.Generator().manual_seed(11))
    with torch.no_grad():
        _, weights = block.attention(x)  # (1, h, T, T)
        routed = (x @ block.w_gate).softmax(-1)[0]  # (T, E)
    num_tokens, num_experts = routed.shape
    tokens = [str(t) for t in range(num_tokens)]
    figure, axes = new_figure(10.5, 3.6, ncols=block.num_heads + 1)
    for head, ax in enumerate(axes[:-1]):
        heat_map(
            ax,
            weights[0, head],
            row_labels=tokens,
            column_labels=tokens,
            title=f"head {head}",
            x_label="token attended to",
            y_label="token" if head == 0 else "",
            digits=1,
        )
    heat_map(
        axes[-1],
        routed,
        row_labels=tokens,
        column_labels=[str(e) for e in range(num_experts)],
        title="router",
        x_label="expert",
        digits=1,
    )
    best = ", ".join(str(e) for e in routed.argmax(-1).tolist())
    return figure, (
        f"For one sequence of {num_tokens} tokens: {block.num_heads} maps of attention weights, "
        "token by token, and one map of the router's probabilities, token by expert. The experts "
        f"chosen for tokens 0 to {num_tokens - 1}: {best}."
    )


def symbol_routing(block: Block) -> Tensor:
    """How often each symbol is sent to each expert, on 500 sequences: (symbols, E)."""
    x, _, symbols = block.task.draw(500, torch.Generator().manual_seed(7))
    with torch.no_grad():
        _, _, chosen = block(x)
    counts = torch.zeros(block.task.symbols, len(block.w_in))
    counts.index_put_((symbols.flatten(), chosen.flatten()), torch.ones(()), accumulate=True)
    return counts / counts.sum(1, keepdim=True)


def plot_symbol_routing(shares: dict[str, Tensor]):
    """Draw which expert each symbol goes to, symbols sorted by their main expert.

    Args:
        shares: title -> (symbols, E), as from `symbol_routing`.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 3.8, ncols=len(shares), sharey=True, squeeze=False)
    words = []
    for ax, (title, share) in zip(axes[0], shares.items(), strict=True):
        order = share.argmax(1).argsort(stable=True)
        image = ax.imshow(share[order], cmap="cividis", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(share.shape[1]))
        ax.set(title=title, xlabel="expert")
        ax.spines[:].set_visible(False)
        counts = torch.bincount(share.argmax(1), minlength=share.shape[1]).tolist()
        words.append(f"{title}: main expert of {counts} symbols, experts 0 to {len(counts) - 1}")
    axes[0, 0].set_ylabel("symbol, sorted by its main expert")
    figure.colorbar(image, ax=axes[0].tolist(), label="share of the symbol's tokens")
    return figure, "Share of each symbol's tokens sent to each expert. " + "; ".join(words) + "."


def plot_collapse(live: list[Run], recorded: list[Run]):
    """Draw the busiest expert's share and the table's accuracy, without and with balance loss.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 3.2, ncols=2)
    balances = (0.0, BALANCE)
    names = ["without", f"with, α = {BALANCE}"]
    kinds = {
        "busiest": "tokens sent to the busiest expert (share)",
        "table": "accuracy on the table",
    }
    words = []
    for ax, (kind, title) in zip(axes, kinds.items(), strict=True):
        for number, (balance, colour) in enumerate(zip(balances, (ORANGE, BLUE), strict=True)):
            found = [
                getattr(run, kind)
                for run in select(recorded, head_start=HEAD_START, balance=balance)
            ]
            label = "recorded, one point a seed" if number == 0 else None
            ax.scatter(beside(number, len(found)), found, s=16, color=colour, label=label, zorder=3)
            if found:
                words.append(f"{title}, {names[number]}: {min(found):.2f} to {max(found):.2f}")
        draw_live(
            ax,
            live,
            [balances.index(run.balance) for run in live],
            [getattr(run, kind) for run in live],
        )
        if kind == "busiest":
            ax.axhline(1 / 8, color=GREY, linestyle="--", linewidth=1, label="an even share, 1/8")
        ax.set_xticks(range(2), names)
        ax.set(ylabel=title, xlabel="balance loss", ylim=(0, 1.05), xlim=(-0.6, 1.6))
        ax.grid(True, axis="y")
    axes[0].legend(loc="upper right")
    return figure, "Eight experts, one with a head start. " + "; ".join(words) + "."


def routing_pictures(router: Router) -> dict[str, Tensor]:
    """Four maps (token, expert) of who gets weight, k = 2 of 4 experts; one is `router`'s."""
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(1, 8, 5, generator=generator)
    w_gate = torch.randn(5, 4, generator=generator)

    def mapped(indices: Tensor) -> Tensor:
        return torch.zeros(8, 4).scatter(1, indices, 1.0).bool()

    probabilities = (x @ w_gate).softmax(-1)[0]  # (T, E)
    by_tokens = torch.zeros(8, 4).scatter(0, probabilities.topk(2, dim=0).indices, 1.0).bool()
    right = router(x, w_gate, 2)[1][0]
    per_sequence = router(x.mean(1, keepdim=True), w_gate, 2)[1][0].expand(8, 2)
    return {
        "A": mapped(per_sequence),
        "B": by_tokens,
        "C": probabilities > 0,
        "D": mapped(right),
    }


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs."""
    parser, _, _ = command_line("attention_lab.heads_and_experts", __doc__, RECORDED)
    chosen = parser.parse_args(arguments)
    record(chosen.out, chosen.seeds)


if __name__ == "__main__":
    sys.exit(main())
