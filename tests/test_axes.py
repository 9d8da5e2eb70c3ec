"""The axis clicker: what waits for what, measured with the learner's functions, and said."""

import pytest
import torch

from attention_lab import depth, heads_and_experts
from attention_lab.widgets import Part, click_axes
from solutions.experts import moe_feed_forward
from solutions.heads import multi_head_attention
from solutions.layers import attention_stack

HEADS = [Part("head", layer, head) for layer in range(3) for head in range(2)]
PARTS = [
    Part(kind, layer, number)
    for layer in range(2)
    for kind in ("head", "expert")
    for number in range(3)
]


def before(one, other):
    """Whether a part comes before another: layer by layer, experts behind the heads."""
    return (one.layer, one.kind == "expert") < (other.layer, other.kind == "expert")


def test_a_head_reaches_all_heads_of_later_layers_and_no_other():
    reach = depth.reach_of_heads(attention_stack, 3, 2)
    assert reach.tolist() == [[before(one, other) for other in HEADS] for one in HEADS]


def test_experts_wait_for_the_heads_of_their_layer_and_not_for_each_other():
    reach = heads_and_experts.reach_of_parts(multi_head_attention, moe_feed_forward, 2, 3, 3)
    assert reach.tolist() == [[before(one, other) for other in PARTS] for one in PARTS]


def test_what_is_said_follows_what_was_measured():
    def alone(x, layers, num_heads):  # every layer reads x: nothing waits
        return x, torch.stack([attention_stack(x, [one], num_heads)[1][0] for one in layers])

    reach = depth.reach_of_heads(alone, 3, 2)
    axes = click_axes(HEADS, reach, "three in parallel", Part("head", 1))
    assert "wait for nothing; can run at once with 5 heads of layers 0, 1, 2" in axes.words[2]
    assert axes.relations[2] == "sscsss"


def test_a_layer_is_the_sum_of_its_parts_and_a_page_gets_a_picture():
    reach = torch.tensor([[before(one, other) for other in PARTS] for one in PARTS])
    axes = click_axes(PARTS, reach, "blocks", Part("layer", 1))
    assert axes.relations[axes.chosen] == "bbbbbbcccccc"
    data = axes._repr_mimebundle_()[0]
    words = "Layer 1 has to wait for 3 experts of layer 0 and 3 heads of layer 0"
    assert words in data["text/plain"] and words in data["text/html"]
    assert data["text/html"].startswith("<img alt=")


@pytest.mark.parametrize(
    ("reach", "chosen", "words"),
    [(torch.zeros(6, 5), HEADS[0], "(6, 5)"), (torch.zeros(6, 6), Part("head", 3), "layer 3")],
)
def test_what_does_not_fit_is_refused(reach, chosen, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(")", r"\)")):
        click_axes(HEADS, reach, "wrong", chosen)
