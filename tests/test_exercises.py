"""Every exercise tells right from wrong and names the mistake, whatever its cases' seed."""

from pathlib import Path

import pytest
import torch

from autograde.build.records import VISIBLE_SEED
from autograde.calls import invoke
from autograde.exercises import EXERCISES
from autograde.exercises.entry import Draw, record
from autograde.habits import HABITS
from autograde.judge import judge
from solutions.attention import scaled_dot_product_attention
from solutions.heads import multi_head_attention

SEEDS = [VISIBLE_SEED, *range(20)]

# Mistakes that no case can tell apart, because their answers are equal: named together.
TWINS = [
    {"attention_mask_multiplied", "attention_mask_tiny_fill"},
    {"floor_all_or_nothing", "floor_integer_division"},
    {"gqa_nothing_expanded", "gqa_only_keys_expanded"},
    {"softmax_divides_by_max", "softmax_not_normalised"},
]


@pytest.fixture(scope="module")
def grade():
    recorded = {}

    def grade(name, seed, function):
        if (name, seed) not in recorded:
            recorded[name, seed] = record(EXERCISES[name], seed)
        return judge(recorded[name, seed], lambda case: invoke(function, case.args, Path("/")))

    return grade


@pytest.mark.parametrize("name", EXERCISES)
def test_the_reference_gets_full_marks(grade, name):
    exercise = EXERCISES[name]
    for seed in SEEDS:
        result = grade(name, seed, exercise.reference)
        assert (result.status, result.score) == ("passed", exercise.points), result.message


@pytest.mark.parametrize("name", EXERCISES)
def test_every_equivalent_passes(grade, name):
    for equivalent, function in EXERCISES[name].equivalents.items():
        for seed in SEEDS:
            result = grade(name, seed, function)
            assert result.passed, f"{equivalent}, seed {seed}: {result.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_known_mistake_fails_and_is_named(grade, name):
    for mistake in EXERCISES[name].misconceptions:
        twins = next((t for t in TWINS if mistake.name in t), {mistake.name})
        for seed in SEEDS:
            result = grade(name, seed, mistake.function)
            assert not result.passed, f"{mistake.name} passes, seed {seed}"
            assert result.score < result.max_score
            assert result.misconception in twins, f"{mistake.name}, seed {seed}: {result.message}"
            assert mistake.says in result.message, f"{mistake.name}, seed {seed}: {result.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_mistakes_in_the_core_earn_nothing(grade, name):
    """A promise of the docstring may be broken for a deduction; a wrong function is worth 0."""
    exercise = EXERCISES[name]
    promised = sum(case.promise for case in exercise.cases)
    for mistake in exercise.misconceptions:
        score = grade(name, 0, mistake.function).score
        assert score == 0 or score >= exercise.points * (1 - promised) - 0.01, mistake.name


ALMOST_RIGHT = {
    "attention.causal_mask": lambda n: torch.ones(max(n, 0), max(n, 0)).tril().bool(),
    "attention.padding_mask": EXERCISES["attention.padding_mask"].equivalents["loop"],
    "attention.scaled_dot_product_attention": lambda q, k, v, mask=None: _unchecked(q, k, v, mask),
    "heads.split_heads": lambda x, h: x.unflatten(-1, (h, -1)).transpose(1, 2),
}


def _unchecked(q, k, v, mask):
    out, weights = scaled_dot_product_attention(q, k, v, mask)
    return out, weights


@pytest.mark.parametrize("name", ALMOST_RIGHT)
def test_a_right_core_is_never_accused_of_a_mistake_that_breaks_it(grade, name):
    """Right numbers without the promised errors: the message speaks of the promise alone."""
    exercise = EXERCISES[name]
    raising = {c.name for c in exercise.cases if c.kind == "raises"}

    def without_errors(*args):
        try:
            return ALMOST_RIGHT[name](*args)
        except ValueError:
            raise RuntimeError("some shapes do not fit") from None

    breaking = {
        m.name: m.says for m in exercise.misconceptions if not grade(name, 0, m.function).score
    }
    result = grade(name, 0, without_errors)
    assert raising and not result.passed and result.score > 0
    assert result.misconception not in breaking
    assert not [says for says in breaking.values() if says in result.message]
    assert "The main part is right" in result.message


def test_two_mistakes_at_once_are_not_called_one(grade):
    """Each case may look like a known mistake; all together they don't."""

    def unscaled_and_unmasked(q, k, v, mask=None):
        return scaled_dot_product_attention(q * q.shape[-1] ** 0.5, k, v)

    result = grade("attention.scaled_dot_product_attention", 0, unscaled_and_unmasked)
    assert result.misconception is None
    assert "This case alone looks like a known mistake" in result.message
    assert "not divided by sqrt(d)" in result.message


def _with_dropout(q, k, v, mask=None):
    out, weights = scaled_dot_product_attention(q, k, v, mask)
    return out, torch.dropout(weights, 0.1, True)


def _with_new_layer(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    w_o = torch.nn.Linear(*w_o.shape, bias=False).weight.T
    return multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask)


def _in(dtype):
    def look_up(q, k, v, mask=None):
        out, weights = scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype), mask)
        return out.float(), weights.float()

    return look_up


@pytest.mark.parametrize(
    "name, function, habit",
    [
        ("attention.scaled_dot_product_attention", _with_dropout, "answer_changes"),
        ("heads.multi_head_attention", _with_new_layer, "answer_changes"),
        ("attention.scaled_dot_product_attention", _in(torch.float16), "half_precision"),
        ("attention.scaled_dot_product_attention", _in(torch.bfloat16), "half_precision"),
    ],
)
def test_a_mistake_that_any_function_can_have_is_named(grade, name, function, habit):
    for seed in SEEDS:
        result = grade(name, seed, function)
        assert (result.score, result.misconception) == (0, habit), result.message
        assert HABITS[habit].says in result.message and HABITS[habit].hint in result.message


def test_names_of_mistakes_are_unique():
    names = [m.name for e in EXERCISES.values() for m in e.misconceptions] + [*HABITS]
    assert len(names) == len(set(names))


def test_sizes_tell_mistakes_apart():
    """No two sizes of a case agree by chance, nor is one the square of another."""
    for seed in range(200):
        draw = Draw(seed)
        sizes = [draw.B, draw.T, draw.T_k, draw.h, draw.d, draw.d_v, draw.D, draw.h * draw.d]
        assert len(set(sizes)) == len(sizes)
        assert draw.B >= 2 and draw.h >= 3 and draw.T >= 5
        assert not {size**2 for size in sizes} & set(sizes) - {draw.T, draw.T_k}


def test_another_seed_gives_other_numbers():
    one, other = (record(EXERCISES["heads.multi_head_attention"], seed) for seed in (1, 2))
    for first, second in zip(one.cases, other.cases, strict=True):
        same_shape = first.args["x"].shape == second.args["x"].shape
        assert not (same_shape and first.args["x"].equal(second.args["x"]))
