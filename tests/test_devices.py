"""Scores do not depend on the device or on the precision of its matrix products."""

from pathlib import Path

import pytest
import torch
from oracles import cast, normal
from torch.utils._pytree import tree_leaves

from attention_lab.device import best_device
from autograde.calls import invoke
from autograde.exercises import EXERCISES
from autograde.exercises.entry import record
from autograde.judge import judge

NOWHERE = Path("/")
LESS = ["high", "medium"]  # TF32 on a GPU; bfloat16 on processors that have it
ELSEWHERE = ("same device", "device type tensor to numpy", "on cuda")


@pytest.fixture(params=LESS)
def precision(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def versions(exercise):
    """Every right version, and every wrong one."""
    wrong = {m.name: m.function for m in exercise.misconceptions}
    return {"the reference": exercise.reference, **exercise.equivalents, **wrong}


def score(exercise, recorded, function):
    result = judge(recorded, lambda case: invoke(function, case.args, NOWHERE))
    return result.score, result.status, result.misconception


def on_gpu(function, strangers):
    """The function with its tensors on the GPU; what it does to them in place comes back."""

    def run(*args):
        moved = [cast(arg, torch.float32, "cuda") for arg in args]
        try:
            found = function(*moved)
        except (RuntimeError, TypeError) as error:
            if any(words in str(error) for words in ELSEWHERE):
                strangers.append(function)  # written for the CPU: NumPy, say
            raise
        for mine, theirs in zip(tree_leaves(list(args)), tree_leaves(moved), strict=True):
            if isinstance(mine, torch.Tensor):
                mine.copy_(theirs)
        return found

    return run


@pytest.mark.parametrize("name", ["heads.multi_head_attention", "experts.moe_feed_forward"])
def test_scores_do_not_depend_on_the_precision_of_the_process(name, precision):
    exercise = EXERCISES[name]
    torch.set_float32_matmul_precision("highest")
    recorded = record(exercise, 0)
    truth = {v: score(exercise, recorded, f) for v, f in versions(exercise).items()}
    torch.set_float32_matmul_precision(precision)
    assert truth == {v: score(exercise, recorded, f) for v, f in versions(exercise).items()}
    assert torch.get_float32_matmul_precision() == precision  # put back after each call


def test_a_call_multiplies_in_full_precision_even_if_less_was_asked_for(precision):
    seen = invoke(lambda: torch.get_float32_matmul_precision(), {}, NOWHERE)
    assert seen.value == "highest"
    a, b = normal(256, 256).float(), normal(256, 256, seed=1).float()
    product = invoke(torch.mm, {"a": a, "b": b}, NOWHERE).value
    assert (product - a.double() @ b.double()).norm() / product.norm() < 1e-6


@pytest.mark.gpu
@pytest.mark.parametrize("name", EXERCISES)
def test_scores_on_a_gpu_are_those_on_a_cpu(name, precision):
    exercise = EXERCISES[name]
    recorded = record(exercise, 0)
    compared = 0
    for version, function in versions(exercise).items():
        strangers = []
        found = score(exercise, recorded, on_gpu(function, strangers))
        if not strangers:
            compared += 1
            assert found == score(exercise, recorded, function), version
    assert compared > len(exercise.misconceptions) / 2


def test_the_device_is_the_one_asked_for_or_the_best():
    assert best_device("cpu") == "cpu"
    assert torch.ones(1, device=best_device()).item() == 1
