"""The look-up task, its reader, the training loop and the recorded runs of notebook 02."""

import json
import statistics

import pytest
import torch

from attention_lab import lookups
from attention_lab.lookups import LookupTask, Reader, Run, select
from attention_lab.training import train
from solutions import single


def draw(task: LookupTask, size: int = 50) -> lookups.Batch:
    return task.draw(size, torch.Generator().manual_seed(5))


@pytest.mark.parametrize("num_lookups", [1, 4, 10])
def test_a_question_never_repeats_a_token(num_lookups):
    asked = draw(LookupTask(num_lookups)).asked
    assert asked.shape == (50, 10, num_lookups)
    assert all(row.unique().numel() == num_lookups for row in asked.flatten(0, 1))


def test_the_answers_are_the_values_of_the_names_asked_for():
    task = LookupTask(3)
    x, _, answers = draw(task)
    names, values = x[..., : task.name_width], x[..., -task.value_width :]
    for lookup in range(3):
        start = (1 + lookup) * task.name_width
        question = x[..., start : start + task.name_width]
        found = (question @ names.transpose(1, 2)).argmax(-1)  # (B, T)
        expected = torch.stack([v[f] for v, f in zip(values, found, strict=True)])
        assert torch.equal(answers[:, :, lookup], expected)
    assert set(answers.unique().tolist()) == {-1.0, 1.0}


def test_impossible_tasks_and_readers_are_refused():
    with pytest.raises(ValueError, match="11 different tokens cannot be drawn from 10"):
        LookupTask(11)
    with pytest.raises(ValueError, match="13 orthogonal names"):
        LookupTask(num_tokens=13)
    with pytest.raises(ValueError, match="7 heads do not divide"):
        Reader(LookupTask(), 7)
    with pytest.raises(ValueError, match="not 'deep'"):
        Reader(LookupTask(), 1, read_out="deep")
    with pytest.raises(ValueError, match="1 head and 2 look-ups, not 1 and 4"):
        Reader(LookupTask(4), 1, weighting="planted blend")


def test_readers_have_as_many_parameters_at_every_head_count():
    counts = {sum(p.numel() for p in Reader(LookupTask(), h).parameters()) for h in (1, 2, 4, 8)}
    assert len(counts) == 1


def test_queries_and_keys_cannot_see_the_values():
    task = LookupTask()
    _, before = single.independent_heads(draw(task).x, *full_weights(Reader(task, 4)))
    changed = draw(task).x.clone()
    changed[..., -task.value_width :] *= -1
    _, after = single.independent_heads(changed, *full_weights(Reader(task, 4)))
    assert torch.equal(before, after)


def full_weights(reader: Reader) -> list[torch.Tensor]:
    kept = []
    reader.heads = lambda x, *weights: (
        kept.extend(weights),
        single.independent_heads(x, *weights),
    )[1]
    reader(draw(reader.task).x)
    return [w.detach() for w in kept]


def test_the_learners_heads_and_the_fused_ones_agree():
    x = draw(LookupTask()).x
    ours, theirs = Reader(LookupTask(), 4), Reader(LookupTask(), 4, heads=single.independent_heads)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_the_planted_weighting_is_two_thirds_and_one_third():
    task = LookupTask(2)
    w_q, w_k, w_v = full_weights(Reader(task, 1, weighting="planted blend"))
    x, asked, _ = draw(task)
    _, weights = single.independent_heads(x, w_q, w_k, w_v)
    seen = weights[:, 0].gather(-1, asked)  # (B, T, 2)
    torch.testing.assert_close(
        seen, torch.tensor([2 / 3, 1 / 3]).expand_as(seen), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("num_heads", [1, 2])
def test_training_does_not_beat_the_floor(num_heads):
    run = lookups.train_reader(num_heads, steps=250, progress=False)
    assert run.share >= single.unexplained_floor(num_heads, 4) - 0.005
    assert run.share < 0.99  # it learned something


def test_a_run_can_be_repeated():
    first, second = (lookups.train_reader(2, steps=5, progress=False) for _ in range(2))
    assert first.unexplained == second.unexplained


def test_stopping_keeps_what_there_is(capsys):
    model, calls = torch.nn.Linear(1, 1), iter(range(10))

    def batch_loss():
        if next(calls) == 3:
            raise KeyboardInterrupt
        return model(torch.ones(1, 1)).square().sum()

    threads = torch.get_num_threads()
    training = train(model, batch_loss, steps=10, progress=False)
    assert (training.steps, training.stopped) == (3, True)
    assert "3 of 10 steps" in capsys.readouterr().out
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="got 0"):
        train(model, batch_loss, steps=0)


def test_stopping_one_of_several_readers_keeps_the_others(monkeypatch, capsys):
    def stop_at_the_second(num_heads, **arguments):
        if num_heads == 2:
            raise KeyboardInterrupt
        return Run(num_heads, 4, "linear", "learned", False, 0, 1, 1, 0.1, 1, (1.0,), 0.0)

    monkeypatch.setattr(lookups, "train_reader", stop_at_the_second)
    assert [run.num_heads for run in lookups.train_readers((1, 2, 4))] == [1]
    lookups.plot_floor([], [], single.unexplained_floor)  # nothing at all is no error either


def test_the_best_linear_read_out_of_one_blend_leaves_half():
    x, w_q, w_k, w_v, mask, signs = lookups.two_items(settings=9)
    out, weights = single.single_head_attention(x, w_q, w_k, w_v, mask)
    for blend, weight in zip(
        out[:, 0].view(9, 4, 1), weights[:, 0, 1].view(9, 4)[:, 0], strict=True
    ):
        shares = lookups.unexplained_share(blend, signs)
        report = lookups.blend_report(weight.item(), 1.0, 1.0)
        assert shares.mean().item() == pytest.approx(0.5, abs=1e-6)
        assert shares[0].item() == pytest.approx(report["best item 1"], abs=1e-5)
        assert report["mean"] >= 0.5


@pytest.mark.parametrize(
    "name, left",
    [("A", [0.75] * 4), ("B", [0, 1, 1, 1]), ("C", [0.75] * 4)],
)
def test_wrong_versions_leave_what_the_quiz_says(name, left):
    task = LookupTask(4)
    x, _, answers = draw(task, 200)
    version = lookups.wrong_versions(single.independent_heads)[name]
    out, weights = version(x, *lookups.planted_heads(task))
    z = out.transpose(1, 2).flatten(2).flatten(0, 1)
    share = lookups.unexplained_share(z, answers.flatten(0, 1).flatten(1)).view(4, -1).mean(1)
    assert share.tolist() == pytest.approx(left, abs=0.03)
    rows_differ = not torch.allclose(weights[:, 0], weights[:, 1], atol=0.1)
    assert rows_differ == (name == "A")


def test_planted_heads_read_everything():
    task = LookupTask(4)
    x, _, answers = draw(task)
    out, _ = single.independent_heads(x, *lookups.planted_heads(task))
    z = out.transpose(1, 2).flatten(2).flatten(0, 1)
    assert lookups.unexplained_share(z, answers.flatten(0, 1).flatten(1)).max() < 1e-3


# --------------------------------------------------------------------------- the recorded runs


RUNS = lookups.recorded_runs()


def curve(num_heads: int) -> list[Run]:
    return select(lookups.the_curve(RUNS), num_heads=num_heads)


def control(**wanted) -> list[float]:
    runs = select(RUNS, num_heads=1, num_lookups=2, learning_rate=0.02, **wanted)
    assert len(runs) == 10
    return [run.share for run in runs]


def test_the_recorded_file_is_what_the_plan_asks_for():
    content = json.loads(lookups.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "runs"}
    assert content["command"] == "python -m attention_lab.lookups record"
    assert LookupTask(**content["task"]) == LookupTask()
    plan = lookups.plan()
    assert len(plan) == len(RUNS)
    for arguments, run in zip(plan, RUNS, strict=True):
        assert all(getattr(run, name) == value for name, value in arguments.items())
        assert run.steps == run.planned == lookups.STEPS
        assert len(run.unexplained) == run.num_lookups


def test_a_recorded_run_comes_out_again():
    recorded = curve(1)[0]
    again = lookups.train_reader(1, seed=recorded.seed, progress=False)
    assert again.share == pytest.approx(recorded.share, abs=0.01)


@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_recorded_runs_lie_on_the_floor(num_heads):
    floor = single.unexplained_floor(num_heads, 4)
    shares = [run.share for run in curve(num_heads)]
    assert len(shares) == 10
    assert min(shares) >= floor - 0.005
    assert statistics.median(shares) <= floor + 0.03


def test_recorded_runs_with_enough_heads():
    four, eight = curve(4), curve(8)
    assert len(four) == len(eight) == 60
    assert statistics.median(run.share for run in four) < 0.03
    assert 0 < sum(run.uncovered > 0 for run in four) < 30  # most, not all, find every look-up
    assert sum(run.uncovered > 0 for run in eight) == 0
    assert max(run.share for run in eight) < 0.1


def test_recorded_read_outs():
    for read_out in ("linear", "two linear layers"):
        shares = control(weighting="planted blend", read_out=read_out)
        assert 0.495 <= min(shares) <= max(shares) < 0.52
    assert max(control(weighting="planted blend", read_out="mlp")) < 0.02
    assert min(control(weighting="learned", read_out="mlp")) > 0.4  # what the model answer says
