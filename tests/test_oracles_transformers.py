"""The reference against the attention modules that people use: weights copied, outputs compared.

Small random configurations of BERT, GPT-2, Llama, Mistral and Mixtral from `transformers`, in
float64 and with the formula's own arithmetic ("eager"). Biases are zero and rotations are by 0: the
reference has neither.
"""

import pytest
import torch
from oracles import MASKS, error, normal
from torch import nn

from attention_lab import fused
from solutions.attention import causal_mask
from solutions.experts import moe_feed_forward, top_k_router
from solutions.heads import multi_head_attention
from solutions.sharing import grouped_query_attention
from solutions.sizing import unpack_qkv

transformers = pytest.importorskip("transformers")
from transformers.models.bert.modeling_bert import BertSelfAttention  # noqa: E402
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaAttention  # noqa: E402
from transformers.models.mistral.modeling_mistral import MistralAttention  # noqa: E402
from transformers.models.mixtral.modeling_mixtral import (  # noqa: E402
    MixtralAttention,
    MixtralSparseMoeBlock,
)

B, T, D, H, KV = 2, 7, 24, 6, 2
IN_FLOAT32 = 1e-6  # Llama and its kin take their softmax in float32, whatever the input
SIZES = {"hidden_size": D, "num_attention_heads": H}
GROUPED = {
    "Llama": (LlamaAttention, transformers.LlamaConfig, {}),
    "Llama, heads wider than D / h": (LlamaAttention, transformers.LlamaConfig, {"head_dim": 10}),
    "Mistral": (MistralAttention, transformers.MistralConfig, {"sliding_window": None}),
    "Mixtral": (MixtralAttention, transformers.MixtralConfig, {"sliding_window": None}),
}


def randomised(module):
    """The module in float64, its matrices N(0, 1)/sqrt(width) and its biases zero."""
    with torch.no_grad():
        for seed, (name, p) in enumerate(module.named_parameters()):
            p.copy_(normal(*p.shape, seed=seed) / D**0.5 if p.ndim > 1 else 0 * p)
            assert p.ndim > 1 or name.endswith("bias")
    return module.double().eval()


def additive(mask, heads=1):
    """Their masks are added to the scores: 0 where a token may attend."""
    if mask is None:
        return None
    allowed = mask.expand(B, heads, T, T)
    return torch.zeros(allowed.shape).double().masked_fill(~allowed, -torch.inf)


@pytest.mark.parametrize("mask", ["none", "padding", "causal"])
def test_bert(mask):
    module = randomised(BertSelfAttention(transformers.BertConfig(**SIZES)))
    module.config._attn_implementation = "eager"
    x, allowed = normal(B, T, D), MASKS[mask](B, H, T, T)
    truth, truth_weights = module(x, additive(allowed))
    w = (one.weight.T for one in (module.query, module.key, module.value))
    out, weights = multi_head_attention(x, *w, torch.eye(D).double(), H, allowed)
    assert error(out, truth) < 1e-12 and error(weights, truth_weights) < 1e-12


def test_gpt2():
    module = randomised(GPT2Attention(transformers.GPT2Config(**SIZES), layer_idx=0))
    module.config._attn_implementation = "eager"
    x, allowed = normal(B, T, D), causal_mask(T)
    truth, truth_weights = module(x, attention_mask=additive(allowed))
    packed = module.c_attn.weight  # Conv1D keeps (in, out)
    w_o = module.c_proj.weight
    out, weights = multi_head_attention(x, *packed.chunk(3, 1), w_o, H, allowed)
    assert error(out, truth) < 1e-12 and error(weights, truth_weights) < 1e-12
    head_out, _ = fused.attend(*unpack_qkv(x @ packed, H), causal=True)
    assert error(head_out.transpose(1, 2).flatten(2) @ w_o, truth) < 1e-12


@pytest.mark.parametrize("kv_heads", [1, KV, H])
@pytest.mark.parametrize("model", GROUPED)
def test_grouped_heads_of_decoders(model, kv_heads):
    make, config, more = GROUPED[model]
    settings = config(**SIZES, num_key_value_heads=kv_heads, **more)
    settings._attn_implementation = "eager"
    module = randomised(make(settings, layer_idx=0))
    x, allowed = normal(B, T, D), causal_mask(T)
    unrotated = (torch.ones(B, T, module.head_dim), torch.zeros(B, T, module.head_dim))
    truth, truth_weights = module(x, unrotated, additive(allowed))
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    w = [getattr(module, name).weight.T for name in names]
    out, weights = fused.multi_head_attention(
        x, *w, H, causal=True, num_kv_heads=kv_heads, need_weights=True
    )
    assert error(out, truth) < IN_FLOAT32 and error(weights, truth_weights) < IN_FLOAT32
    out, weights = grouped_query_attention(x, *w, H, kv_heads, allowed)
    assert error(out, truth) < IN_FLOAT32 and error(weights, truth_weights) < IN_FLOAT32
    # The kernel, without the table of weights.
    out, _ = fused.multi_head_attention(x, *w, H, causal=True, num_kv_heads=kv_heads)
    assert error(out, truth) < IN_FLOAT32
    if kv_heads == H:
        assert error(multi_head_attention(x, *w, H, allowed)[0], truth) < IN_FLOAT32


@pytest.mark.parametrize("k", [1, 2, 5])
def test_mixtrals_experts(k):
    """Its experts have a third matrix, which multiplies: one more input that is always 1, and a
    third matrix that reads only that, make the factor 1."""
    E, hidden = 5, 8
    config = transformers.MixtralConfig(
        hidden_size=D + 1,
        intermediate_size=hidden,
        num_local_experts=E,
        num_experts_per_tok=k,
        hidden_act="gelu",
    )
    module = MixtralSparseMoeBlock(config).double().eval()
    x, w_gate = normal(B, T, D), normal(D, E, seed=1)
    w_in, w_out = normal(E, D, hidden, seed=2) / D**0.5, normal(E, hidden, D, seed=3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.gate.weight[:, :D] = w_gate.T
        module.experts.gate_up_proj[:, :hidden, :D] = w_in.mT
        module.experts.gate_up_proj[:, hidden:, D] = 1
        module.experts.down_proj[:, :D] = w_out.mT
        wide = nn.functional.pad(x, (0, 1), value=1.0)
        truth = module(wide)[..., :D]
        _, truth_weights, truth_indices = module.gate(wide)
    weights, indices = top_k_router(x, w_gate, k)
    assert torch.equal(indices.flatten(0, 1), truth_indices)
    assert error(weights.flatten(0, 1), truth_weights.double()) < IN_FLOAT32
    assert error(moe_feed_forward(x, w_gate, w_in, w_out, k), truth) < IN_FLOAT32
