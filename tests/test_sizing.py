"""Sizes and counts of notebook 04 against oracles that share no code with them, and its claims."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from attention_lab import sizes
from attention_lab.splitting import loop_over_heads
from solutions.attention import softmax
from solutions.heads import merge_heads, multi_head_attention, split_heads
from solutions.single import single_head_attention
from solutions.sizing import (
    count_attention_flops,
    count_attention_parameters,
    shape_trail,
    unpack_qkv,
)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
ROLES = {"q": 0, "k": 1, "v": 2}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- the exercises' reference ---------------------------------------------------------------------


def test_unpacking_reads_pytorchs_packed_projection():
    module = nn.MultiheadAttention(24, 4, batch_first=True, dtype=torch.float64)
    nn.init.normal_(module.in_proj_bias)
    x = normal(2, 5, 24)
    packed = x @ module.in_proj_weight.T + module.in_proj_bias
    out = module.out_proj(merge_heads(F.scaled_dot_product_attention(*unpack_qkv(packed, 4))))
    assert torch.allclose(out, module(x, x, x)[0], atol=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 12, 48, 768])
def test_operations_equal_pytorchs_count_of_the_module(heads):
    """The plain backend runs matrix products, which the counter has formulas for."""
    B, T, D = 2, 16, 768
    module = nn.MultiheadAttention(D, heads, bias=False, batch_first=True).eval()
    x = torch.zeros(B, T, D)
    with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x, x, x, need_weights=False)
    assert count_attention_flops(B, T, D, heads) == counter.get_total_flops()
    weights = [torch.zeros(D, D)] * 4
    counted = sizes.counted_flops(multi_head_attention, x, *weights, heads)
    assert counted == counter.get_total_flops()


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: shape_trail(1, 2, 10, 3), ("3", "10")),
        (lambda: shape_trail(1, 2, 10, 0), ("0", "10")),
        (lambda: unpack_qkv(normal(1, 2, 33), 3), ("3", "33")),
        (lambda: unpack_qkv(normal(1, 2, 25), 2), ("2", "25")),
        (lambda: unpack_qkv(normal(1, 2, 24), 0), ("0", "24")),
        (lambda: count_attention_parameters(10, 3), ("3", "10")),
        (lambda: count_attention_parameters(12, 6, 4), ("6", "4")),
        (lambda: count_attention_parameters(12, 6, 0), ("6", "0")),
        (lambda: count_attention_parameters(12, 0), ("0",)),
        (lambda: count_attention_parameters(12, 6, head_dim=0), ("0",)),
        (lambda: count_attention_flops(1, 2, 10, 3), ("3", "10")),
        (lambda: count_attention_flops(1, 2, 10, 0), ("0", "10")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# --- what the notebook says -----------------------------------------------------------------------


def test_the_examples_by_hand():
    assert shape_trail(1, 3, 4, 2)["scores"] == (1, 2, 3, 3)
    q, k, v = unpack_qkv(torch.arange(12).view(1, 1, 12), 2)
    assert [x.flatten(1).tolist() for x in (q, k, v)] == [
        [[0, 1, 2, 3]],
        [[4, 5, 6, 7]],
        [[8, 9, 10, 11]],
    ]
    assert count_attention_parameters(4, 2) == 64
    assert count_attention_parameters(4, 2, bias=True) == 80
    assert count_attention_parameters(4, 2, 1) == 48
    assert count_attention_parameters(4, 2, head_dim=3) == 96
    assert count_attention_flops(1, 2, 4, 2) == 320


def test_the_numbers_in_the_answers():
    assert count_attention_parameters(768, 12) == count_attention_parameters(768, 24) == 2_359_296
    assert count_attention_parameters(768, 24, head_dim=64) == 4_718_592
    assert count_attention_parameters(768, 12, 4) == 1_572_864
    assert count_attention_parameters(768, 12, 1) == 1_277_952
    assert count_attention_parameters(3072, 16, 16, 256) == 50_331_648
    mistral = count_attention_parameters(4096, 32, 8, 128)
    assert mistral * 8 == 5 * count_attention_parameters(4096, 32)
    packed = sizes.columns_of_packed(1, 1, 6144)
    assert sizes.read_per_head(packed, 64)[1][0, 1, 0, 0] == 384
    assert unpack_qkv(packed, 64)[1][0, 1, 0, 0] == 6240


def test_three_ways_with_biases_are_one_layer():
    module = sizes.biased_layer(48, 3, "cpu")
    weights, last_bias = sizes.fold_biases(module)
    assert [tuple(w.shape) for w in weights] == [(49, 48)] * 3 + [(48, 48)]
    held = sum(w.numel() for w in (*weights, last_bias))
    assert held == count_attention_parameters(48, 3, bias=True)
    ways = {
        "loop": lambda x: loop_over_heads(single_head_attention, sizes.with_one(x), weights, 3),
        "batched": lambda x: multi_head_attention(sizes.with_one(x), *weights, 3)[0],
    }
    x = torch.randn(2, 5, 48)
    with torch.no_grad():
        truth = module(x, x, x, need_weights=False)[0]
        for name, way in ways.items():
            torch.testing.assert_close(way(x) + last_bias, truth, msg=name)
    assert min(sizes.times_on_device(ways, x, rounds=3).values()) > 0


@pytest.mark.parametrize("heads", range(1, 17))
def test_two_orders_agree_on_the_first_and_last_slice_only(heads):
    """Slice (p, i) lies at p·h + i in one order and at 3·i + p in the other."""
    columns = sizes.columns_of_packed(2, 3, heads * 4)
    same = sizes.same_slices(unpack_qkv(columns, heads), sizes.read_per_head(columns, heads))
    expected = {(0, 0), (2, heads - 1)} | ({(1, heads // 2)} if heads % 2 else set())
    assert {tuple(place) for place in same.nonzero().tolist()} == expected


def test_the_wrong_order_gives_an_unrelated_output():
    torch.manual_seed(0)
    module = nn.MultiheadAttention(768, 12, batch_first=True)
    x = torch.randn(2, 10, 768)
    packed = x @ module.in_proj_weight.T
    with torch.no_grad():
        truth, wrong = (
            module.out_proj(merge_heads(F.scaled_dot_product_attention(*unpack(packed, 12))))
            for unpack in (unpack_qkv, sizes.read_per_head)
        )
    assert 1 < (wrong - truth).norm() / truth.norm() < 2


def test_the_pictures_of_readings_show_what_the_quizzes_say():
    pictures = sizes.readings(unpack_qkv)

    def seen(letter):
        """Role and owner of every number, (3, h, d) each."""
        source = torch.stack([part[0, :, 0] for part in pictures[letter]])
        return source // 12, source % 12 // 4

    place = torch.arange(3)
    for letter, roles_right, owners_right in [("A", 9, 0), ("B", 3, 3), ("C", 9, 9), ("D", 3, 0)]:
        roles, owners = seen(letter)
        assert (roles == place[:, None, None]).all(-1).sum() == roles_right, letter
        assert (owners == place[:, None]).all(-1).sum() == owners_right, letter
    roles, owners = seen("B")
    right = (roles == place[:, None, None]).all(-1) & (owners == place[:, None]).all(-1)
    assert right.nonzero().tolist() == [[0, 0], [1, 1], [2, 2]]
    for letter in "ABCD":
        assert sorted(torch.stack(pictures[letter]).flatten().tolist()) == list(range(36))


def test_the_pictures_of_trails_differ_and_one_is_right():
    right = shape_trail(1, 6, 12, 3)
    trails = sizes.wrong_trails(right)
    assert trails["G"] == right
    assert trails["E"]["concat"] == (1, 6, 36)
    assert trails["F"]["weights"] == (1, 6, 3, 3)
    assert trails["H"]["weights"] == (1, 6, 6)
    assert all(trail["out"] == right["out"] for trail in trails.values())


def test_figures_tell_their_shapes():
    _, alt = sizes.plot_flow(shape_trail(1, 128, 768, 12))
    assert "weights (1, 12, 128, 128)" in alt and "12 strips of 64" in alt
    columns = sizes.columns_of_packed(1, 1, 768)
    same = sizes.same_slices(unpack_qkv(columns, 12), sizes.read_per_head(columns, 12))
    assert "q of head 0, v of head 11" in sizes.plot_packing(12, same)[1]
    assert "picture" not in sizes.plot_trails(sizes.wrong_trails(shape_trail(1, 6, 12, 3)))[1]
    assert "row v: v0 v0 v0 v0" in sizes.plot_readings(sizes.readings(unpack_qkv))[1]
    assert "Below 1536 tokens" in sizes.plot_flops(count_attention_flops, 768, 12)[1]


def test_projections_and_look_ups_cost_the_same_at_twice_the_width():
    total = count_attention_flops(1, 2 * 768, 768, 12)
    assert total == 2 * 8 * (2 * 768) * 768**2
    assert 1 / 3 < 4 * 1024**2 * 768 / count_attention_flops(1, 1024, 768, 12) < 2 / 3


def test_time_grows_with_heads_though_the_operations_do_not():
    """Measured 2.9 to 7.5 times in ten runs on a busy machine; the limits leave room below that."""
    times = sizes.measure_parts(
        multi_head_attention, split_heads, softmax, [1, 192], num_tokens=128, d_model=768, rounds=2
    )
    assert times[192][sizes.WHOLE] > 1.5 * times[1][sizes.WHOLE]
    assert times[192]["softmax"] > 10 * times[1]["softmax"]
    assert "ms at 192" in sizes.plot_parts(times, 768)[1]
