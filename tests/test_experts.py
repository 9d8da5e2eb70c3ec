"""Experts: the reference of `experts`, what notebook 10 claims, and its recorded runs."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from attention_lab import heads_and_experts as lab
from solutions.experts import count_moe_parameters, moe_feed_forward, top_k_router

B, T, D, F_, E = 2, 5, 7, 6, 4


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer():
    return (
        normal(B, T, D),
        normal(D, E, seed=1),
        normal(E, D, F_, seed=2),
        normal(E, F_, D, seed=3),
    )


# ------------------------------------------------------------------------------- the reference


def test_the_numbers_worked_by_hand_in_the_notebook():
    x, w_gate = torch.ones(1, 1, 1), torch.tensor([[2.0, 0.0, 1.0]])
    weights, indices = top_k_router(x, w_gate, 2)
    assert indices.tolist() == [[[0, 2]]]
    assert weights[0, 0].tolist() == pytest.approx([0.73, 0.27], abs=0.005)
    as_they_are, _ = top_k_router(x, w_gate, 2, renormalize=False)
    assert as_they_are[0, 0].tolist() == pytest.approx([0.67, 0.24], abs=0.005)
    assert 10 * weights[0, 0, 0] + 20 * weights[0, 0, 1] == pytest.approx(12.7, abs=0.05)
    assert count_moe_parameters(3, 5, 4, 1) == (132, 42)


def test_equal_experts_are_one_network_whoever_is_chosen():
    x, w_gate, w_in, w_out = layer()
    w_in, w_out = w_in[:1].expand(E, -1, -1), w_out[:1].expand(E, -1, -1)
    for k in range(1, E + 1):
        found = moe_feed_forward(x, w_gate, w_in, w_out, k)
        torch.testing.assert_close(found, F.gelu(x @ w_in[0]) @ w_out[0])


@pytest.mark.parametrize("k", [0, 5, -1])
def test_the_impossible_raises_with_the_numbers(k):
    x, w_gate, w_in, w_out = layer()
    for call in (
        lambda: top_k_router(x, w_gate, k),
        lambda: moe_feed_forward(x, w_gate, w_in, w_out, k),
        lambda: count_moe_parameters(D, F_, E, k),
    ):
        with pytest.raises(ValueError) as raised:
            call()
        assert str(k) in str(raised.value) and str(E) in str(raised.value)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_counts_are_those_of_the_tensors_and_of_the_operations(k):
    x, w_gate, w_in, w_out = layer()
    total, active = count_moe_parameters(D, F_, E, k)
    assert total == w_gate.numel() + w_in.numel() + w_out.numel()
    with FlopCounterMode(display=False) as counter:
        moe_feed_forward(x, w_gate, w_in, w_out, k)
    assert counter.get_total_flops() == 2 * active * B * T


# ------------------------------------------------------------------- what the notebook measures


def test_heads_leave_the_sizes_and_experts_multiply_them():
    sizes = {one: lab.Block(*one).sizes() for one in lab.SETTINGS}
    flops = {one: lab.flops_per_token(lab.Block(*one)) for one in lab.SETTINGS}
    width = lab.TableAndLookups().width
    assert {size[0] for size in sizes.values()} == {5888}  # the model answer says so
    assert len({one[0] for one in flops.values()}) == 1
    for heads, experts in lab.SETTINGS:
        one = sizes[1, 1][1]
        router = width * experts if experts > 1 else 0
        assert sizes[heads, experts][1] == experts * one + router
        assert flops[heads, experts][1] == 2 * (one + router)


def test_experts_see_their_own_token_only():
    block = lab.Block(2, 8)
    x, _, _ = block.task.draw(2, torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 0] += 1
    with torch.no_grad():
        for k in (1, 2):
            args = block.w_gate, block.w_in, block.w_out, k
            gap = moe_feed_forward(other, *args) - moe_feed_forward(x, *args)
            assert gap[:, 1:].abs().max() < 1e-6 < gap[:, 0].abs().max()
        gap = block.attention(other)[0] - block.attention(x)[0]
        assert (gap.abs().amax((0, 2)) > 1e-6).all()


def test_the_block_with_one_expert_a_token_is_what_the_learner_builds():
    """With the weight put back that renormalising takes away."""
    block = lab.Block(2, 8)
    x, _, _ = block.task.draw(2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, chosen = block.feed_forward(x)
        weights, indices = top_k_router(x, block.w_gate, 1, renormalize=False)
        plain = moe_feed_forward(x, block.w_gate, block.w_in, block.w_out, 1)
    assert torch.equal(chosen, indices[..., 0])
    torch.testing.assert_close(found, weights * plain)


def test_a_renormalised_single_weight_has_no_gradient():
    x, w_gate, w_in, w_out = layer()
    w_gate.requires_grad_()
    loss = (moe_feed_forward(x, w_gate, w_in, w_out, 1) ** 2).sum()
    assert torch.autograd.grad(loss, w_gate)[0].abs().max() < 1e-12
    loss = (moe_feed_forward(x, w_gate, w_in, w_out, 2) ** 2).sum()
    assert torch.autograd.grad(loss, w_gate)[0].abs().max() > 0.01


def test_the_balance_loss_is_1_when_even_and_e_when_collapsed():
    x = torch.ones(1, 8, 1)
    even = lab.balance_loss(x, torch.zeros(1, 4), torch.arange(8)[None] % 4)
    one = lab.balance_loss(x, torch.tensor([[99.0, 0, 0, 0]]), torch.zeros(1, 8, dtype=torch.long))
    assert even.item() == pytest.approx(1) and one.item() == pytest.approx(4)


def test_mixtrals_size_is_the_papers():
    """Sizes from LitGPT's table; 47 and 13 billion from the abstract of arXiv 2401.04088."""
    rest = 32 * 2 * 4096 * 128 * (32 + 8) + 2 * 32_000 * 4096
    total, active = (32 * n for n in count_moe_parameters(4096, 3 * 14336 // 2, 8, 2))
    assert round((rest + total) / 1e9) == 47 and round((rest + active) / 1e9) == 13


def test_the_four_pictures_are_what_the_quizzes_say():
    pictures = lab.routing_pictures(top_k_router)
    assert (pictures["A"] == pictures["A"][0]).all()
    assert (pictures["B"].sum(0) == 2).all() and not (pictures["B"].sum(1) == 2).all()
    assert pictures["C"].all()
    assert (pictures["D"].sum(1) == 2).all() and not (pictures["D"] == pictures["D"][0]).all()


def test_the_impossible_is_refused():
    with pytest.raises(ValueError, match="3 heads do not divide the width 32"):
        lab.Block(3, 1)
    with pytest.raises(ValueError, match="not 'both'"):
        lab.Block(1, 1, order="both")
    with pytest.raises(ValueError, match="not 2"):
        lab.route_to_one(torch.ones(1, 1, 2), torch.ones(2, 3), 2)


def test_the_lab_and_the_reference_send_tokens_to_the_same_expert():
    x, w_gate, _, _ = layer()
    for mine, reference in zip(
        lab.route_to_one(x, w_gate), top_k_router(x, w_gate, 1, renormalize=False), strict=True
    ):
        torch.testing.assert_close(mine, reference)


# ----------------------------------------------------------------------------- the recorded runs

TABLE, COLLAPSE, ORDERS = lab.recorded_table(), lab.recorded_collapse(), lab.recorded_orders()


def values(runs, kind, **wanted):
    found = [getattr(run, kind) for run in lab.select(runs, **wanted)]
    assert len(found) == 10
    return found


def test_the_recorded_file_is_what_the_plan_asks_for():
    content = json.loads(lab.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "table", "collapse", "orders"}
    assert content["command"] == "python -m attention_lab.heads_and_experts record"
    assert lab.TableAndLookups(**content["task"]) == lab.TableAndLookups()
    for planned, runs in zip(lab.plan(), (TABLE, COLLAPSE, ORDERS), strict=True):
        assert len(planned) == len(runs)
        for arguments, run in zip(planned, runs, strict=True):
            assert all(getattr(run, name) == value for name, value in arguments.items())
            assert run.steps == run.planned == lab.STEPS


@pytest.mark.parametrize("experts", [1, 8])
def test_heads_repair_the_look_ups_only(experts):
    few, more = ({"heads": h, "experts": experts, "hidden": lab.HIDDEN} for h in (1, 2))
    assert max(values(TABLE, "lookup", **few)) < 0.65 < 0.99 < min(values(TABLE, "lookup", **more))
    medians = [sorted(values(TABLE, "table", **which))[5] for which in (few, more)]
    assert abs(medians[0] - medians[1]) < 0.1


@pytest.mark.parametrize("heads", [1, 2])
def test_experts_repair_the_table_only(heads):
    few, more = ({"heads": heads, "experts": e, "hidden": lab.HIDDEN} for e in (1, 8))
    assert max(values(TABLE, "table", **few)) < 0.75 < 0.98 < min(values(TABLE, "table", **more))
    gap = max(values(TABLE, "lookup", **few)) - min(values(TABLE, "lookup", **more))
    assert abs(gap) < 0.05


def test_one_wide_expert_repairs_the_table_too():
    assert min(values(TABLE, "table", heads=2, experts=1, hidden=lab.WIDE)) > 0.98


def test_the_balance_loss_undoes_the_head_start():
    without, balanced = (
        {"head_start": lab.HEAD_START, "balance": balance} for balance in (0.0, lab.BALANCE)
    )
    assert min(values(COLLAPSE, "busiest", **without)) > 0.5
    assert max(values(COLLAPSE, "busiest", **without)) < 0.95  # not all tokens, as it says
    assert max(values(COLLAPSE, "busiest", **balanced)) < 0.35
    pairs = zip(
        values(COLLAPSE, "table", **without), values(COLLAPSE, "table", **balanced), strict=True
    )
    assert sum(a < b for a, b in pairs) >= 9


def test_an_even_start_needs_no_balance_loss_here():
    even = {"head_start": 0.0, "balance": 0.0}
    assert max(values(COLLAPSE, "busiest", **even)) < 0.35
    assert min(values(COLLAPSE, "table", **even)) > 0.95


def test_training_takes_no_blend_apart_in_a_sequential_block():
    for order in lab.ORDERS:  # observed, not proven
        assert max(values(ORDERS, "lookup", order=order)) < 0.65


def test_a_recorded_run_comes_out_again():
    recorded = lab.select(TABLE, heads=2, experts=1, hidden=lab.HIDDEN, seed=3)[0]
    again, _ = lab.train_block(2, 1, seed=3, progress=False)
    assert again.lookup == pytest.approx(recorded.lookup, abs=0.02)
    assert again.table == pytest.approx(recorded.table, abs=0.05)
