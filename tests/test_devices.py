"""Scores do not depend on the device or on the precision of its matrix products."""

from pathlib import Path

import pytest
import torch
from oracles import DEVICES, normal

from attention_lab.device import best_device
from autograde.calls import invoke
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.exercises.entry import record
from autograde.grading import grade_submission
from autograde.judge import judge
from autograde.sandbox import choose_device

NOWHERE = Path("/")
PRECISIONS = [
    "highest",
    "high",
    "medium",
]  # TF32 on a GPU, bfloat16 on some processors: not in the first
SOME = ["heads.multi_head_attention", "experts.moe_feed_forward"]
EVERYWHERE = [(name, "cpu") for name in SOME]
EVERYWHERE += [pytest.param(name, "cuda", marks=pytest.mark.gpu) for name in EXERCISES]


@pytest.fixture(params=PRECISIONS)
def precision(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def versions(exercise):
    """Every right version, and every wrong one."""
    wrong = {m.name: m.function for m in exercise.misconceptions}
    return {"the reference": exercise.reference, **exercise.equivalents, **wrong}


def scores(exercise, recorded, device="cpu"):
    """Score, status and known mistake of every version, its functions called on a device."""
    found = {}
    for version, function in versions(exercise).items():
        result = judge(recorded, lambda case, f=function: invoke(f, case.args, NOWHERE, device))
        found[version] = result.score, result.status, result.misconception
    return found


@pytest.mark.parametrize(("name", "device"), EVERYWHERE)
def test_scores_depend_neither_on_the_device_nor_on_the_precision_of_the_process(
    name, device, precision
):
    """All right and all wrong versions of an exercise, TF32 on and off before the calls."""
    exercise = EXERCISES[name]
    torch.set_float32_matmul_precision("highest")
    recorded = record(exercise, 0)
    truth = scores(exercise, recorded)
    assert truth["the reference"][:2] == (exercise.points, "passed")
    torch.set_float32_matmul_precision(precision)
    assert scores(exercise, recorded, device) == truth
    assert torch.get_float32_matmul_precision() == precision  # put back after each call


def test_a_call_multiplies_in_full_precision_even_if_less_was_asked_for(precision):
    seen = invoke(lambda: torch.get_float32_matmul_precision(), {}, NOWHERE)
    assert seen.value == "highest"
    a, b = normal(256, 256).float(), normal(256, 256, seed=1).float()
    product = invoke(torch.mm, {"a": a, "b": b}, NOWHERE).value
    assert (product - a.double() @ b.double()).norm() / product.norm() < 1e-6


def test_what_raises_on_the_device_is_called_on_the_cpu():
    """Shown on "meta", a device without numbers: there NumPy is an error, and shapes are known."""
    x, seen = normal(2, 3).float(), []

    def with_numpy(x, others):
        seen.append([x.device.type, *(one.device.type for one in others["list"])])
        return x.numpy() * 2

    args = {"x": x, "others": {"list": [x]}}
    assert torch.equal(invoke(with_numpy, args, NOWHERE, "meta").value, 2 * x)
    assert seen == [["meta", "meta"], ["cpu", "cpu"]]


@pytest.mark.parametrize("device", DEVICES)
def test_the_runner_calls_submitted_functions_on_the_device(device, make_submission, solution):
    """Elsewhere this softmax is wrong; for what is not written, the reference answers there too."""
    text = f"""
def softmax(scores, dim=-1):
    return scores.softmax(dim) if scores.device.type == {device!r} else 1 - scores.softmax(dim)

def scaled_dot_product_attention(q, k, v, mask=None):
    raise NotImplementedError
"""
    names = ["attention.softmax", "single.single_head_attention"]
    folder = make_submission(attention=solution("attention") + text)
    results = grade_submission(folder, exercises=names, sandbox="off", device=device)
    assert all(result.passed for result in results.values())


def test_a_sandbox_keeps_submissions_away_from_a_gpu():
    assert choose_device("auto", "landlock") == choose_device("cpu", "landlock") == "cpu"
    assert choose_device("auto", "off") == best_device()
    with pytest.raises(AutogradeError, match="needs --no-sandbox"):
        choose_device("cuda", "landlock")
    with pytest.raises(AutogradeError, match="no device 'tpu'; there are auto, cpu, cuda, mps"):
        choose_device("tpu", "off")
    for name, here in {"cuda": torch.cuda.is_available(), "mps": best_device() == "mps"}.items():
        if not here:
            with pytest.raises(AutogradeError, match=f"finds no device '{name}'"):
                choose_device(name, "off")


def test_the_device_is_the_one_asked_for_or_the_best():
    assert best_device("cpu") == "cpu"
    assert torch.ones(1, device=best_device()).item() == 1
