"""The block: the reference of `block` against PyTorch's own layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention_lab.encoder import load_encoder
from solutions.block import feed_forward, layer_norm, transformer_block

B, T, D, H, WIDE = 2, 7, 24, 3, 50


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def torch_layer(norm_first, eps=1e-5):
    """PyTorch's block with random norms and biases, and its parameters under our names."""
    layer = nn.TransformerEncoderLayer(
        D, H, WIDE, 0.0, F.gelu, eps, batch_first=True, norm_first=norm_first, dtype=torch.float64
    ).eval()
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed) * D**-0.5)
    state = {name: p.detach() for name, p in layer.named_parameters()}
    params = {}
    for name, w, b in zip(
        "qkv",
        state["self_attn.in_proj_weight"].chunk(3),
        state["self_attn.in_proj_bias"].chunk(3),
        strict=True,
    ):
        params |= {f"w_{name}": w.T, f"b_{name}": b}
    for mine, theirs in {"o": "self_attn.out_proj", "in": "linear1", "out": "linear2"}.items():
        params |= {f"w_{mine}": state[f"{theirs}.weight"].T, f"b_{mine}": state[f"{theirs}.bias"]}
    for norm in ("norm1", "norm2"):
        params |= {f"{norm}_{part}": state[f"{norm}.{part}"] for part in ("weight", "bias")}
    return layer, params


# --------------------------------------------------------------------------- against other codes


@pytest.mark.parametrize("shape", [(B, T, D), (B, H, T, D), (D,)])
@pytest.mark.parametrize("eps", [1e-5, 1e-12, 0.3])
def test_layer_norm_is_that_of_pytorch(shape, eps):
    x, weight, bias = 3 + normal(*shape), normal(D, seed=1), normal(D, seed=2)
    found = layer_norm(x, weight, bias, eps)
    torch.testing.assert_close(found, F.layer_norm(x, (D,), weight, bias, eps))
    assert layer_norm(x.float(), weight.float(), bias.float()).dtype == torch.float32


def test_a_token_of_equal_numbers_gives_the_bias():
    x, bias = torch.full((1, 2, D), 0.1), torch.arange(D) / 8
    torch.testing.assert_close(layer_norm(x, torch.ones(D), bias), bias.expand(1, 2, D))


def test_feed_forward_is_two_linear_layers():
    first, second = nn.Linear(D, WIDE).double(), nn.Linear(WIDE, D).double()
    network = nn.Sequential(first, nn.GELU(), second)
    x = normal(B, T, D)
    found = feed_forward(x, first.weight.T, first.bias, second.weight.T, second.bias)
    torch.testing.assert_close(found, network(x))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("masked", [None, "causal", "padding"])
def test_the_block_is_that_of_pytorch(norm_first, masked):
    layer, params = torch_layer(norm_first)
    x = normal(B, T, D, seed=9)
    seen = torch.ones(T, T, dtype=torch.bool).tril()
    real = torch.arange(T) < torch.tensor([[5], [7]])
    with torch.no_grad():
        if masked == "causal":
            expected, mask = layer(x, src_mask=~seen), seen  # True hides in nn's layers
        elif masked == "padding":
            expected, mask = layer(x, src_key_padding_mask=~real), real[:, None, None]
        else:
            expected, mask = layer(x), None
    found = transformer_block(x, params, H, mask, norm_first)
    rows = real if masked == "padding" else torch.ones_like(real)  # nn may leave padding at 0
    torch.testing.assert_close(found[rows], expected[rows])


def test_a_layer_of_the_pretrained_encoder_is_a_post_norm_block():
    encoder = load_encoder()
    ids, lengths, _ = encoder.tokenize(["The cat drank the milk."])
    one = type(encoder)(**{**vars(encoder), "layers": encoder.layers[:1], "eps": 1e-5})
    x = encoder.embed_tokens(ids)
    x = transformer_block(x, encoder.layers[0], encoder.num_heads, norm_first=False)
    # The embeddings' own norm differs in eps as well: far less than this.
    torch.testing.assert_close(x, one.run(ids, lengths)[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm_first", [True, False])
def test_gradients_flow_through_the_block(norm_first):
    _, params = torch_layer(norm_first)
    x = normal(1, 3, D).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: transformer_block(x, params, H, norm_first=norm_first), x
    )


def test_nothing_is_changed_in_place():
    _, params = torch_layer(True)
    x = normal(B, T, D)
    before = [t.clone() for t in (x, *params.values())]
    for norm_first in (True, False):
        transformer_block(x, params, H, norm_first=norm_first)
    assert all(torch.equal(*pair) for pair in zip(before, (x, *params.values()), strict=True))


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: layer_norm(normal(B, T, D), normal(1), normal(D)), ("1", "24")),
        (lambda: layer_norm(normal(B, T, D), normal(D), normal(25)), ("25", "24")),
        (
            lambda: feed_forward(normal(T, D), normal(D, 50), normal(50), normal(51, D), normal(D)),
            ("50", "51"),
        ),
        (lambda: transformer_block(normal(B, T, D), torch_layer(True)[1], 5), ("5", "24")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)
