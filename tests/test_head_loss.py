"""A function argument: described as data, made where the call is, the same on every way there."""

import itertools

import pytest
import torch

from autograde.calls import Outcome, invoke
from autograde.compare import fingerprint, mismatch, same_fingerprint
from autograde.judge import called_with
from autograde.loading import PACKAGE, read_package
from autograde.records import RecordedCase, RecordedExercise, read, write
from autograde.sandbox import Limits, choose
from autograde.session import Session
from autograde.values import BadMessage, HeadLoss, flatten, pack, restore, unpack

L, H = 2, 3
LOSS = HeadLoss(
    alone=torch.randn(L, H, generator=torch.Generator().manual_seed(0)).double(),
    together=torch.randn(L * H, L * H, generator=torch.Generator().manual_seed(1)).double(),
    base=0.75,
)
SPOILING = HeadLoss(LOSS.alone, LOSS.together, LOSS.base, spoils=True)


def by_hand(mask):
    off = (1 - mask).double().flatten().tolist()
    total = 0.75 + sum(o * a for o, a in zip(off, LOSS.alone.flatten().tolist(), strict=True))
    for i, j in itertools.product(range(L * H), repeat=2):
        total += off[i] * LOSS.together[i, j].item() * off[j]
    return total


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_of_every_mask(dtype):
    loss_fn = LOSS.function()
    assert loss_fn(torch.ones(L, H)) == 0.75
    for bits in itertools.product((0.0, 1.0), repeat=L * H):
        mask = torch.tensor(bits, dtype=dtype).view(L, H)
        before = mask.clone()
        assert loss_fn(mask) == pytest.approx(by_hand(mask))
        assert mask.equal(before)


def test_two_heads_off_are_not_the_sum_of_each():
    loss_fn = LOSS.function()
    first, second, both = torch.ones(3, L, H)
    first[0, 1] = second[1, 2] = both[0, 1] = both[1, 2] = 0
    singly = loss_fn(first) + loss_fn(second) - 2 * 0.75
    assert abs(loss_fn(both) - 0.75 - singly) > 0.01


def test_one_that_spoils_reads_the_mask_first():
    loss_fn, mask = SPOILING.function(), torch.eye(L, H)
    assert loss_fn(mask) == pytest.approx(by_hand(torch.eye(L, H)))
    assert mask.count_nonzero() == 0


@pytest.mark.parametrize(
    "mask", [torch.ones(H, L), torch.ones(L * H), torch.ones(L, H).bool(), [[1.0] * H] * L, None]
)
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(ValueError, match=r"head_mask must be .*\(2, 3\)"):
        LOSS.function()(mask)


def same(one, other):
    pairs = [(one.alone, other.alone), (one.together, other.together)]
    return all(a.equal(b) and a.dtype == b.dtype for a, b in pairs) and (
        (one.base, one.spoils) == (other.base, other.spoils)
    )


@pytest.mark.parametrize("loss", [LOSS, SPOILING])
def test_it_survives_the_pipe_and_the_recorded_cases(loss):
    message = pack({"loss_fn": loss})
    size = int.from_bytes(message[:4], "little")
    assert same(unpack(message[8 : 8 + size], message[8 + size :])["loss_fn"], loss)

    case = RecordedCase("a loss", "value", 0.0, 1e-5, {"loss_fn": loss, "num_layers": L})
    exercise = RecordedExercise("roles.head_importance", 1.0, ("it",), (case,), {})
    assert same(read(*write([exercise]))[0].cases[0].args["loss_fn"], loss)


@pytest.mark.parametrize(
    "parts", [[], [1.0, 2.0, 0.5, False], ["t", "t", 0.5, False], "sum", [None] * 4]
)
def test_another_description_is_a_bad_message(parts):
    with pytest.raises(BadMessage):
        restore({"$head_loss": parts}, {"t": torch.ones(2)})


def test_a_description_is_data_in_the_tree():
    tensors = {}
    assert flatten(LOSS, tensors) == {
        "$head_loss": [{"$tensor": "0"}, {"$tensor": "1"}, 0.75, False]
    }
    assert tensors["0"].equal(LOSS.alone)


def test_the_function_called_has_numbers_of_its_own(tmp_path):
    def greedy(loss_fn, number):
        for cell in loss_fn.__closure__:
            if isinstance(cell.cell_contents, torch.Tensor):
                cell.cell_contents.zero_()
        return loss_fn(torch.zeros(L, H))

    before = LOSS.alone.clone()
    outcome = invoke(greedy, {"loss_fn": LOSS, "number": 1}, tmp_path)
    assert outcome.error is None and outcome.changed == ()
    assert LOSS.alone.equal(before)


def test_a_submission_calls_it_in_the_runner(make_submission):
    text = (
        "import torch\n"
        "def softmax(loss_fn, shape):\n"
        "    mask = torch.ones(*shape)\n"
        "    mask[1, 0] = 0\n"
        "    return loss_fn(mask), loss_fn(torch.ones(*shape)), type(loss_fn).__name__\n"
    )
    submission = make_submission(attention=text)
    mask = torch.ones(L, H)
    mask[1, 0] = 0
    library = read_package(submission / PACKAGE)
    with Session(library, ["attention.softmax"], Limits(), choose()) as session:
        outcome = session.call("attention.softmax", {"loss_fn": LOSS, "shape": (L, H)})
    assert outcome.value == (pytest.approx(by_hand(mask)), 0.75, "function")
    assert outcome.changed == ()


def test_a_description_that_comes_back_is_a_wrong_answer():
    """Whatever a runner may answer with, comparing it is safe."""
    outcome = Outcome(value=LOSS)
    assert mismatch(torch.ones(L, H).double(), LOSS, "importance")
    assert not same_fingerprint(fingerprint(outcome), fingerprint(Outcome(value=torch.ones(L, H))))


def test_a_message_names_it_in_a_few_words():
    text = called_with({"loss_fn": LOSS, "num_layers": L})
    assert text == "loss_fn = a function of a mask (2, 3), num_layers = 2"
