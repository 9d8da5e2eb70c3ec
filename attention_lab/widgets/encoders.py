"""The attention explorer on a real pretrained encoder, run by the course's or by your functions."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from attention_lab.blocks import post_norm_block
from attention_lab.encoder import load_encoder, pool
from attention_lab.training import one_thread

from .explorer import Explorer, Seen, explore

NO_MASK, CAUSAL = "none", "causal"


@one_thread()
def explore_encoder(
    sentence: str,
    lenses: Sequence[tuple[int, int]] = (),
    asking: str = "[CLS]",
    score: Callable[[Tensor], Mapping[str, Tensor]] | None = None,
    title: str = "all heads of an encoder",
) -> Explorer:
    """Open the explorer on a sentence and all 72 heads of the pretrained encoder.

    The sentence can be typed over, and heads can be silenced: what later layers look at changes.

    Args:
        lenses: pairs (layer, head) to begin with; the last is shown large.
        asking: the token to begin with.
        score: weights (L, 1, h, T, T) -> role -> (L, h), to mark heads by.
        title: of the explorer.

    Raises:
        ModuleNotFoundError: if the encoder is not installed.
        ValueError: if the sentence has more than 64 tokens, or no such token.
    """
    encoder = load_encoder()

    def run(sentence: str, silenced: Sequence[Sequence[int]] = ()) -> Seen:
        on = torch.ones(len(encoder.layers), encoder.num_heads)
        for layer, head in silenced:
            on[layer, head] = 0
        ids, lengths, tokens = encoder.tokenize([sentence])
        weights = encoder.run(ids, lengths, on)[1]
        return Seen(tokens[0], weights[:, 0], score(weights) if score else {})

    tokens, weights, scores, _ = run(sentence)
    explorer = explore(
        tokens,
        weights,
        lambda explorer: run(explorer.sentence, explorer.silenced),
        scores=scores,
        title=title,
        sentence=sentence,
        can_silence=True,
        lenses=lenses,
    )
    return _begin(explorer, lenses, asking)


@one_thread()
def explore_own(
    attend: Callable,
    split_heads: Callable,
    ablate_heads: Callable,
    sentence: str,
    *,
    layer_norm: Callable | None = None,
    feed_forward: Callable | None = None,
    causal_mask: Callable | None = None,
    head_counts: Sequence[int] = (),
    lenses: Sequence[tuple[int, int]] = (),
    asking: str = "[CLS]",
    title: str = "an encoder run by your functions",
) -> Explorer:
    """Open the explorer on the pretrained encoder, run by given functions; all choices go there.

    A silenced head goes through `ablate_heads`, another number of heads cuts every layer anew. A
    note says how far the model's output has moved.

    Args:
        attend: `heads.multi_head_attention`, without biases.
        split_heads, ablate_heads: as in `heads` and `mixing`.
        layer_norm: (x, weight, bias) -> x-shaped; None takes PyTorch's, with the model's ε.
        feed_forward: as in `block`; None takes PyTorch's.
        causal_mask: `causal_mask(num_tokens)`, for a choice of masks.
        head_counts: numbers of heads to choose from, the encoder's own among them.
        lenses, asking, title: as for `explore_encoder`.

    Raises:
        ModuleNotFoundError: if the encoder is not installed.
        ValueError: if the sentence has more than 64 tokens or no such token, or whatever the given
            functions raise.
    """
    encoder = load_encoder()
    norm = layer_norm or (lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b, encoder.eps))
    feed = feed_forward or (lambda x, w_in, b_in, w, b: F.gelu(x @ w_in + b_in) @ w + b)

    @torch.no_grad()
    def run(sentence: str, mask: str, num_heads: int, silenced: Sequence[Sequence[int]]) -> Seen:
        ids, lengths, tokens = encoder.tokenize([sentence])
        allowed = causal_mask(ids.shape[1]) if mask == CAUSAL else None
        x, kept = encoder.embed_tokens(ids), []
        for number, params in enumerate(encoder.layers):
            off = [head for layer, head in silenced if layer == number]

            def attention(x, w_q, w_k, w_v, w_o, num_heads, mask, off=off):
                out, weights = attend(x, w_q, w_k, w_v, w_o, num_heads, mask)
                kept.append(weights[0])
                if off:
                    head_out = weights @ split_heads(x @ w_v, num_heads)  # (1, h, T, d)
                    out = ablate_heads(head_out, w_o, off)
                return out, weights

            x = post_norm_block(attention, norm, feed)(x, params, num_heads, allowed)
        same = (pool(x, lengths) * encoder.sentence_embeddings([sentence])).sum().item()
        note = (
            f"The model's output for this sentence: cosine {same:.3f} with the unchanged model's."
        )
        return Seen(tokens[0], torch.stack(kept), note=note)

    tokens, weights, _, note = run(sentence, NO_MASK, encoder.num_heads, [])
    explorer = explore(
        tokens,
        weights,
        lambda chosen: run(chosen.sentence, chosen.mask, chosen.num_heads, chosen.silenced),
        note=note,
        title=title,
        sentence=sentence,
        masks=(NO_MASK, CAUSAL) if causal_mask else (),
        head_counts=head_counts,
        can_silence=True,
        lenses=lenses,
    )
    return _begin(explorer, lenses, asking)


def _begin(explorer: Explorer, lenses: Sequence[tuple[int, int]], asking: str) -> Explorer:
    if asking not in explorer.tokens:
        raise ValueError(f"{asking!r} is none of the tokens {explorer.tokens}")
    explorer.query = explorer.tokens.index(asking)
    if lenses:
        explorer.layer, explorer.head = lenses[-1]
    return explorer


@one_thread()
def explore_cuts(
    attend: Callable, causal_mask: Callable, sentence: str, head_counts: Sequence[int]
) -> Explorer:
    """Open the explorer on the encoder's first layer, its width cut into more or fewer heads.

    Args:
        attend: a multi-head attention, `attend(x, w_q, w_k, w_v, w_o, num_heads, mask)`.
        causal_mask: `causal_mask(num_tokens)`, for the choice of a mask.
        head_counts: numbers of heads to choose from. The encoder's own is shown first, or the last.

    Raises:
        ModuleNotFoundError: if the encoder is not installed.
        ValueError: if the sentence has more than 64 tokens, or whatever `attend` raises.
    """
    encoder = load_encoder()
    layer = encoder.layers[0]
    # A coordinate that is always 1 lets a bias be one more row of its matrix.
    w_q, w_k, w_v = (torch.cat([layer[f"w_{n}"], layer[f"b_{n}"][None]]) for n in "qkv")

    first = encoder.num_heads if encoder.num_heads in head_counts else head_counts[-1]

    def run(sentence: str, num_heads: int, mask: str) -> tuple[list[str], Tensor]:
        ids, _, tokens = encoder.tokenize([sentence])
        x = encoder.embed_tokens(ids)
        x = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)  # (1, T, D + 1)
        allowed = causal_mask(x.shape[1]) if mask == CAUSAL else None
        return tokens[0], attend(x, w_q, w_k, w_v, layer["w_o"], num_heads, allowed)[1][0]

    return explore(
        *run(sentence, first, NO_MASK),
        lambda explorer: run(explorer.sentence, explorer.num_heads, explorer.mask),
        title="one width, cut into heads",
        sentence=sentence,
        masks=(NO_MASK, CAUSAL),
        head_counts=head_counts,
    )
