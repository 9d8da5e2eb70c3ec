"""Model cards: the data against its sources, the reference, and what notebook 11 claims."""

import json
import re

import pytest
import torch

from attention_lab import model_cards as lab
from autograde.exercises import EXERCISES
from autograde.exercises.entry import record
from solutions.cards import LABELS, NAMES, compare_cards, read_head_layout
from solutions.sizing import count_attention_parameters

EVERY = lab.model_cards()
DEFAULTS = lab.class_defaults()
OF_A_CLASS = re.compile(r"transformers ([\d.]+), default of (\w+)")
OF_A_FILE = re.compile(r"[\w.-]+/[\w.-]+, [\w./-]+ at [0-9a-f]{12}")
LLAMA = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}


def named(name):
    return read_head_layout(lab.card(name).config)


def kib(name):
    return lab.cache_kib(named(name))


# ---------------------------------------------------------------------------------- the data


@pytest.mark.parametrize("card", EVERY, ids=lambda card: card.name)
def test_every_row_has_an_exact_source_and_the_layout_that_is_read_from_it(card):
    assert OF_A_CLASS.match(card.source) or OF_A_FILE.match(card.source), card.source
    assert read_head_layout(card.config) == card.layout
    assert list(read_head_layout(card.config)) == list(LABELS)


def test_names_are_unique_and_unknown_ones_refused():
    assert len({card.name for card in EVERY}) == len(EVERY) == 44
    with pytest.raises(ValueError, match="GPT-5"):
        lab.card("GPT-5")


def class_default(name):
    import transformers

    return transformers.__version__, getattr(transformers, name)().to_dict()


def differing(config, default):
    """Fields of a row that a class's default does not have like that."""
    return {
        field: value
        for field, value in config.items()
        if (
            differing(value, default[field]) if isinstance(value, dict) else default[field] != value
        )
    }


@pytest.mark.parametrize(
    "card", [c for c in EVERY if OF_A_CLASS.match(c.source)], ids=lambda card: card.name
)
def test_a_row_from_a_class_is_the_default_of_that_class(card):
    version, name = OF_A_CLASS.match(card.source).groups()
    installed, default = class_default(name)
    assert installed == version, f"look at all rows again, then write {installed} into the data"
    assert differing(card.config, default) == {}
    assert read_head_layout(default) == card.layout


@pytest.mark.parametrize("default", DEFAULTS, ids=lambda default: default.name)
def test_a_default_is_not_the_checkpoint_that_its_documentation_names(default):
    import transformers

    _, found = class_default(default.name)
    assert differing(default.config, found) == {}
    assert default.config != lab.card(default.card).config
    module = getattr(transformers, default.name).__module__
    with open(__import__(module, fromlist=["_"]).__file__, encoding="utf-8") as file:
        assert f'checkpoint="{default.names}"' in file.read()


# ---------------------------------------------------------------------------------- the reference


@pytest.mark.parametrize("card", EVERY, ids=lambda card: card.name)
def test_cache_and_patterns_counted_one_by_one(card):
    """Tensors of one token for every layer that caches; a table for every attention's head."""
    config, layout = card.config.get("text_config", card.config), card.layout
    decoder = config.get("decoder_layers") or config.get("num_decoder_layers")
    if decoder is None and config.get("is_encoder_decoder"):
        decoder = layout["num_layers"] // 2
    alone = layout["num_layers"] - (decoder or 0)
    attentions = ["self"] * alone + ["self", "cross"] * (decoder or 0)
    assert layout["attention_computations"] == sum(layout["num_heads"] for _ in attentions)
    if layout["kind"] == "MLA":
        kept = [config["kv_lora_rank"], config["qk_rope_head_dim"]]
    else:
        kept = [(layout["num_kv_heads"], layout["head_dim"])] * 2
    sizes = [torch.empty(size, dtype=torch.float16, device="meta").nbytes for size in kept]
    assert layout["kv_cache_bytes_per_token"] == sum(sizes) * (decoder or alone)


def test_every_name_of_a_field_is_understood():
    first = {
        "num_hidden_layers": 7,
        "hidden_size": 60,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "head_dim": 11,
        "num_local_experts": 9,
        "num_experts_per_tok": 2,
    }
    expected = read_head_layout(first)
    for names in NAMES.values():
        for other in names[1:]:
            if names[0] in first:
                renamed = {other if n == names[0] else n: v for n, v in first.items()}
                assert read_head_layout(renamed) == expected, other


def test_fields_that_count_for_nothing():
    config = lab.card("DeepSeek-V3").config
    assert read_head_layout({**config, "head_dim": 999}) == named("DeepSeek-V3")
    nested = {"text_config": LLAMA, "hidden_size": 1, "vision_config": {"num_attention_heads": 3}}
    assert read_head_layout(nested) == read_head_layout(LLAMA)
    assert read_head_layout({**LLAMA, "text_config": None}) == read_head_layout(LLAMA)
    nothing = {"num_key_value_heads": None, "head_dim": None, "kv_lora_rank": None}
    assert read_head_layout({**LLAMA, **nothing, "num_experts": 0}) == read_head_layout(LLAMA)


def test_the_configuration_stays_as_it_was():
    for card in EVERY:
        before = json.dumps(card.config)
        read_head_layout(card.config)
        compare_cards(card.config, LLAMA)
        assert json.dumps(card.config) == before


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**LLAMA, "num_attention_heads": 33}, ("33", "4096")),
        ({**LLAMA, "num_key_value_heads": 5}, ("5", "32")),
        ({**LLAMA, "num_key_value_heads": 0}, ("0",)),
        ({**LLAMA, "num_hidden_layers": 0}, ("0",)),
        ({**LLAMA, "head_dim": -4}, ("-4",)),
        ({**LLAMA, "num_experts": 8}, ("num_experts_per_tok",)),
        ({**LLAMA, "num_experts": 8, "num_experts_per_tok": 9}, ("9", "8")),
        ({**LLAMA, "num_experts": 8, "num_experts_per_tok": 0}, ("0",)),
        ({**LLAMA, "num_experts": -8, "num_experts_per_tok": 1}, ("-8",)),
        ({**LLAMA, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, ("qk_nope_head_dim",)),
        ({**LLAMA, "kv_lora_rank": 512, "qk_nope_head_dim": 64}, ("qk_rope_head_dim",)),
        ({"num_hidden_layers": 2, "hidden_size": 4}, ("num_attention_heads",)),
        ({"num_hidden_layers": 2, "num_attention_heads": 4}, ("hidden_size",)),
        ({"hidden_size": 4, "num_attention_heads": 4}, ("num_hidden_layers",)),
        ({"text_config": {}, "vision_config": LLAMA}, ("num_hidden_layers",)),
        ({**lab.card("BART-large").config, "decoder_attention_heads": 8}, ("16", "8")),
        ({**lab.card("BART-large").config, "decoder_layers": 0}, ("0",)),
    ],
)
def test_the_impossible_raises_with_the_numbers_or_the_name(config, words):
    for call in (
        lambda: read_head_layout(config),
        lambda: compare_cards(config, LLAMA),
        lambda: compare_cards(LLAMA, config),
    ):
        with pytest.raises(ValueError) as raised:
            call()
        assert all(word in str(raised.value) for word in words), raised.value


def test_lines_are_as_the_docstring_writes_them():
    changed = compare_cards(
        {**LLAMA, "num_key_value_heads": 32}, {**LLAMA, "num_key_value_heads": 8}
    )
    assert changed == [
        "key and value heads a layer: 32 -> 8 (x 0.25)",
        "kind of attention: MHA -> GQA",
        "cache bytes a token: 524288 -> 131072 (x 0.25)",
    ]
    deeper = compare_cards({**LLAMA, "num_hidden_layers": 12}, LLAMA)
    assert deeper[0] == "layers: 12 -> 32 (x 2.667)"
    moe = compare_cards(lab.card("Mistral-7B").config, lab.card("Mixtral-8x7B").config)
    assert moe == ["experts a layer: none -> 8", "experts a token uses: none -> 2"]
    assert compare_cards(lab.card("GPT-2").config, lab.card("BERT-base").config) == []


def test_a_table_of_known_models_cannot_pass():
    """Sizes are drawn from the seed, and no drawn configuration is a published one."""
    published = [json.dumps(card.config, sort_keys=True) for card in EVERY]
    drawn = []
    for seed in (1, 2, 3):
        cases = record(EXERCISES["cards.read_head_layout"], seed).cases
        drawn.append([json.dumps(case.args["config"], sort_keys=True) for case in cases])
    assert not {config for configs in drawn for config in configs} & set(published)
    assert all(len(set(same_case)) > 1 for same_case in zip(*drawn, strict=True))


# ------------------------------------------------------------------- what the notebook measures


@pytest.mark.parametrize("family", lab.FAMILIES)
def test_a_measured_cache_comes_out_again(family):
    recorded = next(run for run in lab.measured_caches() if run.family == family)
    assert lab.measure(family) == recorded


def test_measured_caches_are_as_read_but_for_one():
    runs = lab.measured_caches()
    assert [run.family for run in runs] == list(lab.FAMILIES)
    ratio = {
        run.family: run.bytes_per_token / read_head_layout(run.config)["kv_cache_bytes_per_token"]
        for run in runs
    }
    assert ratio.pop("Falcon, new") == 3
    assert set(ratio.values()) == {1}


def test_the_surprises():
    assert kib("Qwen3-0.6B") / kib("Falcon-7B") == 14
    assert kib("Llama-2-70B") < kib("Llama-2-7B") == 512
    assert [kib(name) for name in ("Falcon-7B", "GPT-2", "Llama-3.1-405B")] == [8, 36, 504]
    four = ("Llama-2-70B", "Falcon-40B", "Gemma-7B", "Qwen3-0.6B")
    assert max(four, key=kib) == "Gemma-7B"
    mistral, mixtral = named("Mistral-7B"), named("Mixtral-8x7B")
    assert {key for key in mistral if mistral[key] != mixtral[key]} == {
        "num_experts",
        "experts_per_token",
    }


def test_within_a_kind_the_cache_tends_to_grow_with_the_model_but_for_mqa():
    def agreement(kind):
        """Pairs of models in which the larger one keeps more, less those in which it keeps less."""
        found = [
            (c.billions, kib(c.name))
            for c in EVERY
            if c.generates and c.billions and named(c.name)["kind"] == kind
        ]
        signs = [(b[0] - a[0]) * (b[1] - a[1]) for a in found for b in found]
        return sum((sign > 0) - (sign < 0) for sign in signs) / sum(sign != 0 for sign in signs)

    assert agreement("MHA") > 0.4 and agreement("GQA") > 0.4
    assert agreement("MQA") == -1


def test_heads_that_do_not_fill_the_width():
    off = {
        c.name
        for c in EVERY
        if named(c.name)["num_heads"] * named(c.name)["head_dim"] != named(c.name)["d_model"]
    }
    assert {"Gemma-7B", "Qwen3-0.6B", "mT5-small", "T5-11B"} < off
    assert 0.7 < 1 - len(off) / len(EVERY) < 0.8
    t5 = named("T5-11B")
    assert t5["num_heads"] * t5["head_dim"] == 16 * t5["d_model"]


def test_from_32_to_8_a_quarter_of_the_key_and_value_matrices_is_left():
    sizes = [count_attention_parameters(4096, 32, kv, 128) for kv in (32, 8)]
    w_q_and_w_o = 2 * 4096 * 4096
    assert sizes[1] - w_q_and_w_o == (sizes[0] - w_q_and_w_o) / 4


def test_odd_ones_out():
    same = ("Mistral-7B", "Llama-3.1-8B", "Mixtral-8x7B")
    assert {kib(name) for name in same} == {128} and kib("Qwen3-8B") == 144
    kinds = [named(n)["kind"] for n in ("Falcon-7B", "Gemma-2B", "Gemma-3-1B", "Falcon-40B")]
    assert kinds == ["MQA", "MQA", "MQA", "GQA"]
    patterns = [named(n)["attention_computations"] for n in ("BERT-base", "GPT-2", "ViT-B/16")]
    assert patterns == [144] * 3 and named("DistilBERT")["attention_computations"] == 72


def test_each_wrong_reading_shows_where_the_quiz_says():
    shown = {
        letter: {name: round(factor, 2) for name, factor in found.items() if factor != 1}
        for letter, found in lab.wrong_readings(read_head_layout).items()
    }
    assert shown == {
        "A": {"Llama-3.1-8B": 4, "Mixtral-8x7B": 4, "Falcon-7B": 71, "Qwen3-0.6B": 2},
        "B": {"Gemma-7B": 0.75, "Qwen3-0.6B": 0.5},
        "C": {"DeepSeek-V3": 85.33},
        "D": {"Mixtral-8x7B": 8, "DeepSeek-V3": 256},
    }


def test_gpt2_xl_swapped_is_impossible_and_gpt2_swapped_goes_unseen():
    xl = lab.card("GPT-2 XL").config
    with pytest.raises(ValueError, match=r"48.*1600"):
        read_head_layout({**xl, "n_layer": 25, "n_head": 48})
    small = lab.card("GPT-2").config
    assert small["n_layer"] == small["n_head"]


def test_the_last_quizzes():
    x = named("gpt-oss-120b")
    assert x["num_heads"] * x["head_dim"] == 4096 and x["num_kv_heads"] * x["head_dim"] == 512
    v3 = lab.card("DeepSeek-V3").config
    assert v3["num_key_value_heads"] == 128 and v3["head_dim"] == 64
    assert named("DeepSeek-V3")["kv_cache_bytes_per_token"] == 2 * 61 * (512 + 64)
    blender = named("Blenderbot-3B")
    assert blender["attention_computations"] == 1600 and kib("Blenderbot-3B") == 240


def test_figures_tell_what_they_show():
    _, alt = lab.plot_widths(EVERY, read_head_layout)
    assert "32 lie on the line" in alt and "T5-11B: 16384 against D = 1024" in alt
    _, alt = lab.plot_caches(EVERY, read_head_layout)
    assert "Falcon-7B 8" in alt and "BERT" not in alt
    _, alt = lab.plot_readings(lab.wrong_readings(read_head_layout))
    assert "DeepSeek-V3 85.3" in alt
    assert "2/8" in lab.table(["Mixtral-8x7B"], read_head_layout)
    assert "8,192 bytes" in lab.factors(["Falcon-7B"], read_head_layout)
