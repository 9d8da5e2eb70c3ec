"""Exercises of notebook 11: reading a configuration, and comparing two."""

import torch

from solutions import cards as reference
from solutions.cards import LABELS, NAMES
from solutions.cards import read_head_layout as read

from .entry import Case, Exercise, Misconception

# --------------------------------------------------------------------------- configurations, drawn


class _Sizes:
    """Sizes of one model: no two alike, and no product of two of them a third."""

    def __init__(self, r):
        self.kv = r.h  # 3 or 5
        self.h = self.kv * r.one_of(2, 4)
        self.d, self.other_d = r.two_of(14, 22, 26, 34)
        self.D = self.h * self.d
        self.L, self.decoder = r.two_of(7, 9, 11, 13)
        self.E, self.k = r.one_of(18, 24, 28), r.one_of(2, 4)


def _gpt2(s):
    return {"n_layer": s.L, "n_embd": s.D, "n_head": s.h}


def _bert(s):
    return {"num_hidden_layers": s.L, "hidden_size": s.D, "num_attention_heads": s.h}


def _distilbert(s):
    return {"n_layers": s.L, "dim": s.D, "n_heads": s.h}


def _gpt_neo(s):
    return {"num_layers": s.L, "hidden_size": s.D, "num_heads": s.h}


def _llama(s):
    return {**_bert(s), "num_key_value_heads": s.kv}


def _wide(s):
    return {**_llama(s), "head_dim": s.other_d}


def _gemma(s):
    return {**_bert(s), "num_key_value_heads": s.h, "head_dim": s.other_d}


def _mixtral(s):
    return {**_llama(s), "head_dim": None, "num_local_experts": s.E, "num_experts_per_tok": s.k}


def _olmoe(s):
    return {
        **_bert(s),
        "num_key_value_heads": None,
        "num_experts": s.E,
        "num_experts_per_tok": s.k,
    }


def _qwen_moe(s):
    shared = {"shared_expert_intermediate_size": 4 * s.D}
    return {**_wide(s), "num_experts": s.E, "num_experts_per_tok": s.k, **shared}


def _falcon(s):
    return {**_bert(s), "num_kv_heads": s.h, "multi_query": True, "new_decoder_architecture": False}


def _new_falcon(s):
    return {
        **_bert(s),
        "num_kv_heads": s.kv,
        "multi_query": True,
        "new_decoder_architecture": True,
    }


def _starcoder(s):
    return {**_gpt2(s), "multi_query": True}


def _t5(s):
    sizes = {"num_layers": s.L, "num_decoder_layers": s.decoder, "d_model": s.D}
    return {**sizes, "num_heads": s.h, "d_kv": s.other_d, "is_encoder_decoder": True}


def _old_t5(s):
    return {name: value for name, value in _t5(s).items() if name != "num_decoder_layers"}


def _whisper(s):
    layers = {"num_hidden_layers": s.L, "encoder_layers": s.L, "decoder_layers": s.decoder}
    heads = {"encoder_attention_heads": s.h, "decoder_attention_heads": s.h}
    return {"d_model": s.D, **layers, **heads, "is_encoder_decoder": True}


def _latent(s):
    ropes, nopes = s.other_d, s.other_d + 10
    return {"kv_lora_rank": 5 * s.d, "qk_nope_head_dim": nopes, "qk_rope_head_dim": ropes}


def _deepseek(s):
    heads = {"num_key_value_heads": s.h, "head_dim": s.other_d, "v_head_dim": s.other_d + 10}
    experts = {"n_routed_experts": s.E, "n_shared_experts": 2, "num_experts_per_tok": s.k}
    return {**_bert(s), **heads, **_latent(s), **experts}


def _deepseek_code(s):
    experts = {"n_routed_experts": s.E, "n_shared_experts": 1, "n_activated_experts": s.k}
    return {**_distilbert(s), **_latent(s), **experts}


def _nested(s):
    seen = {"hidden_size": 4 * s.other_d, "num_attention_heads": 4, "num_hidden_layers": s.decoder}
    return {"hidden_size": 4 * s.other_d, "text_config": _wide(s), "vision_config": seen}


def _config(make, **changes):
    """An argument-drawer; `changes` replace fields, by a number or by a function of the sizes."""

    def draw(r):
        s = _Sizes(r)
        found = {n: change(s) if callable(change) else change for n, change in changes.items()}
        return {"config": {**make(s), **found}}

    return draw


def _raises(name, make, mentions, promise=0.05, **changes):
    """A case for an impossible configuration; `mentions` picks what the message must hold."""
    return Case(
        name,
        _config(make, **changes),
        kind="raises",
        promise=promise,
        mentions=lambda args: tuple(mentions(args["config"])),
    )


def _without(field, make):
    return lambda s: {name: value for name, value in make(s).items() if name != field}


# -------------------------------------------------------------------------- a reader, in its parts


def _get(c, name, default=None):
    """The first field of that name, as `NAMES` lists them; missing ones without a default raise."""
    found = [c[n] for n in NAMES[name] if c.get(n) is not None]
    if not found and default is None:
        raise ValueError(f"missing: {NAMES[name][0]}")
    return found[0] if found else default


def _inner(c):
    return c.get("text_config") or c


def _layers(c):
    encoder = _get(c, "num_layers")
    decoder = _get(c, "decoder_layers", -1)
    if decoder == -1:
        decoder = encoder if c.get("is_encoder_decoder") else 0
    elif decoder < 1:
        raise ValueError(f"decoder_layers {decoder}")
    return encoder, decoder


def _kv(c, h):
    alone = c.get("multi_query") and not c.get("new_decoder_architecture")
    return 1 if alone else _get(c, "num_kv_heads", h)


def _is_latent(c):
    return c.get("kv_lora_rank") is not None


def _head_dim(c, D, h, kv):
    if _is_latent(c):
        return _field(c, "qk_nope_head_dim") + _field(c, "qk_rope_head_dim")
    return _get(c, "head_dim", D // h)


def _field(c, name):
    if c.get(name) is None:
        raise ValueError(f"missing: {name}")
    return c[name]


def _numbers(c, kv, d, D, h):
    return c["kv_lora_rank"] + c["qk_rope_head_dim"] if _is_latent(c) else 2 * kv * d


def _experts(c):
    experts = _get(c, "num_experts", 0)
    return (experts, _get(c, "experts_per_token")) if experts else (None, None)


def _kind(c, h, kv):
    if _is_latent(c):
        return "MLA"
    return "MHA" if kv == h else "MQA" if kv == 1 else "GQA"


def _check_width(c, D, h):
    if not _is_latent(c) and not _get(c, "head_dim", 0) and D % h:
        raise ValueError(f"{h} heads, width {D}")


def _check_groups(h, kv):
    if kv < 1 or h % kv:
        raise ValueError(f"{kv} key and value heads, {h} heads")


def _check_experts(experts, active):
    if experts is not None and not 1 <= active <= experts:
        raise ValueError(f"{active} of {experts} experts")


def _check_sides(c, h):
    if c.get("decoder_attention_heads", h) != h:
        raise ValueError(f"{h} and {c['decoder_attention_heads']} heads")


def _check_sizes(*sizes):
    if min(sizes) < 1:
        raise ValueError(f"sizes {sizes}")


def _never(*args):
    return None


RIGHT = {
    "inner": _inner,
    "layers": _layers,
    "heads": lambda c: _get(c, "num_heads"),
    "kv": _kv,
    "head_dim": _head_dim,
    "numbers": _numbers,
    "caching": lambda encoder, decoder: decoder or encoder,
    "size": 2,
    "experts": _experts,
    "times": lambda experts: 1,
    "kind": _kind,
    "count": lambda encoder, decoder, h: (encoder + 2 * decoder) * h,
    "all_layers": lambda encoder, decoder: encoder + decoder,
    "check_width": _check_width,
    "check_groups": _check_groups,
    "check_experts": _check_experts,
    "check_sides": _check_sides,
    "check_sizes": _check_sizes,
}


def _reader(**changes):
    """Reads a configuration part by part; `changes` replace parts by wrong ones."""
    part = {**RIGHT, **changes}

    def read_parts(config):
        c = part["inner"](config)
        encoder, decoder = part["layers"](c)
        D, h = _get(c, "d_model"), part["heads"](c)
        part["check_sizes"](encoder, D, h)
        part["check_sides"](c, h)
        part["check_width"](c, D, h)
        kv = part["kv"](c, h)
        part["check_groups"](h, kv)
        d = part["head_dim"](c, D, h, kv)
        part["check_sizes"](d)
        experts, active = part["experts"](c)
        part["check_experts"](experts, active)
        caching = part["caching"](encoder, decoder) * part["times"](experts)
        return {
            "num_layers": part["all_layers"](encoder, decoder),
            "d_model": D,
            "num_heads": h,
            "num_kv_heads": kv,
            "head_dim": d,
            "kind": part["kind"](c, h, kv),
            "attention_computations": part["count"](encoder, decoder, h),
            "kv_cache_bytes_per_token": part["size"] * part["numbers"](c, kv, d, D, h) * caching,
            "num_experts": experts,
            "experts_per_token": active,
        }

    return read_parts


def _unless_latent(wrong):
    """For what is cached: wrong for keys and values, right for MLA."""
    return lambda c, kv, d, D, h: _numbers(c, kv, d, D, h) if _is_latent(c) else wrong(kv, d, D, h)


def _if_latent(wrong):
    return lambda c, kv, d, D, h: wrong(c, kv, d, h) if _is_latent(c) else 2 * kv * d


def _always_from_width(c, D, h, kv):
    return _head_dim(c, D, h, kv) if _is_latent(c) else D // h


def _from_kv_heads(c, D, h, kv):
    return D // kv if not _is_latent(c) and not _get(c, "head_dim", 0) else _head_dim(c, D, h, kv)


def _written_head_dim(c, D, h, kv):
    return _get(c, "head_dim", D // h)


def _group_size(c, h):
    given = _kv(c, h)
    return h // given if 1 < given < h else given


def _swap(c, wanted):
    """Layers and heads in each other's place, where a model is a plain stack."""
    other = {"num_layers": "num_heads", "num_heads": "num_layers"}[wanted]
    return _get(c, wanted if _layers(c)[1] else other)


def _outer_first(c):
    inner = c.get("text_config") or {}
    return {**inner, **{name: value for name, value in c.items() if name != "text_config"}}


def _vision(c):
    return c.get("vision_config") or c


def _patterns_of_kv_heads(config):
    layout, (encoder, decoder) = read(config), _layers(_inner(config))
    patterns = (encoder + 2 * decoder) * layout["num_kv_heads"]
    return {**layout, "attention_computations": patterns}


def _none_kept(config):
    """`config.get(name, default)`: a field that is None does not fall back."""
    c = _inner(config)
    if "num_key_value_heads" in c and c["num_key_value_heads"] is None:
        raise TypeError("unsupported operand type(s) for %: 'int' and 'NoneType'")
    layout = dict(read(config))
    if "head_dim" in c and c["head_dim"] is None:
        raise TypeError("unsupported operand type(s) for *: 'int' and 'NoneType'")
    return layout


def _with_shared(c):
    experts, active = _experts(c)
    return (
        (experts, active) if experts is None else (experts + c.get("n_shared_experts", 0), active)
    )


def _swapped_experts(c):
    return _experts(c)[::-1]


def _only_local(c):
    experts = c.get("num_local_experts")
    return (experts, _get(c, "experts_per_token")) if experts else (None, None)


def _dense_is_zero(c):
    experts, active = _experts(c)
    return experts or 0, active or 0


def _popped(config):
    c = config.pop("text_config", None) or config
    layout = read(dict(c))
    c.pop("num_attention_heads", None)
    return layout


# ------------------------------------------------------------------------ right, in other ways


def _read_by_renaming(config):
    """All spellings turned into one first, then one formula."""
    config = dict(config["text_config"] if config.get("text_config") else config)
    spelt = {n: key for key, names in NAMES.items() for n in reversed(names)}
    known = {}
    for name, value in config.items():
        if value is not None and name in spelt:
            known.setdefault(spelt[name], value)
    for key in ("num_layers", "d_model", "num_heads"):
        if key not in known:
            raise ValueError(f"no {NAMES[key][0]}")
    for key, value in known.items():
        if value < (0 if key == "num_experts" else 1):
            raise ValueError(f"{key} = {value}")
    h, D = known["num_heads"], known["d_model"]
    if config.get("decoder_attention_heads", h) != h:
        raise ValueError(f"{h} != {config['decoder_attention_heads']}")
    match config:
        case {"kv_lora_rank": int(rank)}:
            lengths = [config.get(n) for n in ("qk_nope_head_dim", "qk_rope_head_dim")]
            if None in lengths:
                raise ValueError("qk_nope_head_dim and qk_rope_head_dim are needed")
            d, numbers = sum(lengths), rank + lengths[1]
        case _:
            if "head_dim" not in known and D % h:
                raise ValueError(f"{D} / {h} is not whole")
            d, numbers = known.get("head_dim", D / h), None
    kv = known.get("num_kv_heads", h)
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        kv = 1
    if h % kv:
        raise ValueError(f"{h} / {kv} is not whole")
    decoder = known.get(
        "decoder_layers", known["num_layers"] if config.get("is_encoder_decoder") else 0
    )
    experts = known.get("num_experts") or None
    if experts and "experts_per_token" not in known:
        raise ValueError("no num_experts_per_tok")
    active = known["experts_per_token"] if experts else None
    if experts and active > experts:
        raise ValueError(f"{active} > {experts}")
    name = {h: "MHA", 1: "MQA"} if h > 1 else {1: "MHA"}
    return {
        "experts_per_token": active,
        "num_experts": experts,
        "kind": name.get(kv, "GQA") if numbers is None else "MLA",
        "num_layers": known["num_layers"] + decoder,
        "d_model": D,
        "num_heads": h,
        "num_kv_heads": kv,
        "head_dim": d,
        "attention_computations": h * known["num_layers"] + 2 * h * decoder,
        "kv_cache_bytes_per_token": (decoder or known["num_layers"])
        * (4 * kv * d if numbers is None else 2 * numbers),
    }


def _read_by_counting(config):
    """Attentions listed one by one; the cache as tensors whose bytes are counted."""
    layout = dict(read(config))
    c = _inner(config)
    encoder, decoder = _layers(c)
    attentions = [*["self"] * encoder, *["self", "cross"] * decoder]
    layout["attention_computations"] = sum(layout["num_heads"] for _ in attentions)
    if _is_latent(c):
        kept = [torch.zeros(c["kv_lora_rank"] + c["qk_rope_head_dim"], dtype=torch.float16)]
    else:
        shape = (1, layout["num_kv_heads"], 1, layout["head_dim"])
        kept = [torch.zeros(shape, dtype=torch.bfloat16) for _ in ("k", "v")]
    layout["kv_cache_bytes_per_token"] = sum(t.nbytes for t in kept * (decoder or encoder))
    return layout


READ_CASES = (
    Case("names as in GPT-2", _config(_gpt2)),
    Case("names as in BERT", _config(_bert)),
    Case("names as in DistilBERT", _config(_distilbert)),
    Case("names as in GPT-Neo", _config(_gpt_neo)),
    Case("fewer key and value heads, as in Llama", _config(_llama)),
    Case("a width of a head of its own, as in Qwen3", _config(_wide)),
    Case("a width of a head of its own, as in Gemma", _config(_gemma)),
    Case("experts and an empty head_dim, as in Mixtral", _config(_mixtral)),
    Case("experts as in OLMoE, num_key_value_heads empty", _config(_olmoe)),
    Case("experts as in Qwen3-MoE", _config(_qwen_moe)),
    Case("a dense model that writes 0 experts", _config(_llama, num_experts=0)),
    Case("multi_query as in Falcon-7B", _config(_falcon)),
    Case("multi_query as in StarCoder", _config(_starcoder)),
    Case("new_decoder_architecture as in Falcon-40B", _config(_new_falcon)),
    Case("one head of everything", _config(_gpt2, n_head=1)),
    Case("encoder and decoder as in T5", _config(_t5)),
    Case("encoder and decoder as in old T5, one number of layers", _config(_old_t5)),
    Case("encoder and decoder as in Whisper", _config(_whisper)),
    Case("latent attention as in DeepSeek-V3", _config(_deepseek)),
    Case("latent attention with the names of DeepSeek's own code", _config(_deepseek_code)),
    Case("text_config, with a model of pictures beside it", _config(_nested)),
    Case("the configuration is left as it was", _config(_nested), kind="unchanged", promise=0.05),
    _raises(
        "heads that do not divide the width",
        _bert,
        lambda c: (c["num_attention_heads"], c["hidden_size"]),
        hidden_size=lambda s: s.D + 1,
    ),
    _raises(
        "key and value heads that do not divide the heads",
        _llama,
        lambda c: (c["num_key_value_heads"], c["num_attention_heads"]),
        num_key_value_heads=lambda s: s.h - 1,
    ),
    _raises(
        "more experts a token than there are",
        _mixtral,
        lambda c: (c["num_experts_per_tok"], c["num_local_experts"]),
        num_experts_per_tok=lambda s: s.E + 7,
    ),
    _raises("no width", _without("hidden_size", _llama), lambda c: ("hidden_size",), promise=0.025),
    _raises(
        "experts, but not how many a token uses",
        _without("num_experts_per_tok", _olmoe),
        lambda c: ("num_experts_per_tok",),
        promise=0.025,
    ),
    _raises(
        "latent attention without its rotary part",
        _without("qk_rope_head_dim", _deepseek),
        lambda c: ("qk_rope_head_dim",),
        promise=0.025,
    ),
    _raises(
        "encoder and decoder with different heads",
        _whisper,
        lambda c: (c["encoder_attention_heads"], c["decoder_attention_heads"]),
        promise=0.025,
        decoder_attention_heads=lambda s: 2 * s.h,
    ),
    _raises("no layers", _gpt2, lambda c: (0,), promise=0.025, n_layer=0),
    _raises("fewer than no heads", _llama, lambda c: (-6,), promise=0.025, num_attention_heads=-6),
)


read_head_layout = Exercise(
    name="cards.read_head_layout",
    points=5,
    reference=reference.read_head_layout,
    returns=("the layout",),
    cases=READ_CASES,
    misconceptions=(
        Misconception(
            "layout_head_dim_from_width",
            _reader(head_dim=_always_from_width, check_width=_never),
            "The width of a head was taken as D / h although the configuration gives it.",
            "Look for head_dim or d_kv first; D / h is what holds when neither is there.",
        ),
        Misconception(
            "layout_head_dim_from_kv_heads",
            _reader(head_dim=_from_kv_heads),
            "D was divided by the key and value heads to get the width of a head.",
            "Queries decide: d = D / h. Fewer key and value heads are as wide as the others.",
        ),
        Misconception(
            "layout_kv_heads_ignored",
            _reader(kv=lambda c, h: h),
            "As many key and value heads as query heads were assumed.",
            "Read num_key_value_heads (or num_kv_heads), and multi_query.",
        ),
        Misconception(
            "layout_kv_heads_as_group_size",
            _reader(kv=_group_size),
            "num_key_value_heads was read as the size of a group.",
            "It is the number of key and value heads itself; a group has h / h_kv query heads.",
        ),
        Misconception(
            "layout_multi_query_ignored",
            _reader(kv=lambda c, h: _get(c, "num_kv_heads", h)),
            "multi_query was overlooked: with it there is one key and value head.",
            "multi_query without new_decoder_architecture means 1, whatever num_kv_heads says.",
        ),
        Misconception(
            "layout_multi_query_always",
            _reader(kv=lambda c, h: 1 if c.get("multi_query") else _get(c, "num_kv_heads", h)),
            "multi_query was believed although new_decoder_architecture is there too.",
            "With new_decoder_architecture the number of key and value heads is num_kv_heads.",
        ),
        Misconception(
            "layout_latent_as_full_heads",
            _reader(numbers=lambda c, kv, d, D, h: 2 * kv * d),
            "Latent attention was given a cache of full keys and values.",
            "With kv_lora_rank a layer keeps kv_lora_rank + qk_rope_head_dim numbers a token.",
        ),
        Misconception(
            "layout_latent_twice",
            _reader(
                numbers=_if_latent(
                    lambda c, kv, d, h: 2 * (c["kv_lora_rank"] + c["qk_rope_head_dim"])
                )
            ),
            "The latent vector was counted twice, as if there were one for keys and one for values.",
            "Keys and values are both made from the same latent vector.",
        ),
        Misconception(
            "layout_latent_without_rope",
            _reader(numbers=_if_latent(lambda c, kv, d, h: c["kv_lora_rank"])),
            "The rotary part of the key was left out of the latent cache.",
            "It is kept beside the latent vector: add qk_rope_head_dim.",
        ),
        Misconception(
            "layout_latent_for_each_head",
            _reader(
                numbers=_if_latent(
                    lambda c, kv, d, h: h * (c["kv_lora_rank"] + c["qk_rope_head_dim"])
                )
            ),
            "The latent vector was counted once for each head.",
            "All heads of a layer share it.",
        ),
        Misconception(
            "layout_latent_head_dim_as_written",
            _reader(head_dim=_written_head_dim, check_width=_never),
            "With latent attention, head_dim was taken as written (or D / h).",
            "There a head is qk_nope_head_dim + qk_rope_head_dim wide.",
        ),
        Misconception(
            "layout_cache_times_experts",
            _reader(times=lambda experts: experts or 1),
            "The cache was multiplied by the experts.",
            "Experts are feed-forward networks; they have no keys and no values.",
        ),
        Misconception(
            "layout_cache_one_of_two",
            _reader(numbers=_unless_latent(lambda kv, d, D, h: kv * d)),
            "Only keys were counted, or only values.",
            "Both are kept: 2 · h_kv · d numbers a token and layer.",
        ),
        Misconception(
            "layout_cache_of_all_query_heads",
            _reader(numbers=_unless_latent(lambda kv, d, D, h: 2 * h * d)),
            "The cache was counted with the query heads.",
            "Queries are not kept. Count h_kv heads.",
        ),
        Misconception(
            "layout_cache_from_width",
            _reader(numbers=_unless_latent(lambda kv, d, D, h: 2 * D)),
            "The cache was counted as two vectors of width D.",
            "It holds h_kv heads of width d: h_kv · d, which need not be D.",
        ),
        Misconception(
            "layout_cache_of_one_layer",
            _reader(caching=lambda encoder, decoder: 1),
            "The cache of one layer was given.",
            "Every layer keeps keys and values of its own: multiply by the layers.",
        ),
        Misconception(
            "layout_cache_at_four_bytes",
            _reader(size=4),
            "Four bytes a number were counted.",
            "The docstring promises 2 bytes a number (float16 or bfloat16).",
        ),
        Misconception(
            "layout_cache_in_bits",
            _reader(size=16),
            "The cache came out in bits.",
            "2 bytes a number, and the result in bytes.",
        ),
        Misconception(
            "layout_cache_in_numbers",
            _reader(size=1),
            "Numbers were counted instead of bytes.",
            "2 bytes a number.",
        ),
        Misconception(
            "layout_cache_of_the_encoder_too",
            _reader(caching=lambda encoder, decoder: encoder + decoder),
            "The encoder's layers were given a growing cache as well.",
            "Only the decoder generates: count its layers where there are two kinds.",
        ),
        Misconception(
            "layout_cache_of_the_encoder",
            _reader(caching=lambda encoder, decoder: encoder),
            "The cache was counted over the encoder's layers.",
            "The decoder generates: its layers keep keys and values.",
        ),
        Misconception(
            "layout_cache_of_cross_attention",
            _reader(caching=lambda encoder, decoder: 2 * decoder or encoder),
            "Cross-attention was counted into what one more token adds.",
            "Its keys and values come from the encoder's tokens; they don't grow with the text.",
        ),
        Misconception(
            "layout_layers_and_heads_swapped",
            _reader(
                layers=lambda c: (_swap(c, "num_layers"), _layers(c)[1]),
                heads=lambda c: _swap(c, "num_heads"),
                check_width=_never,
                check_groups=_never,
            ),
            "Layers and heads changed places.",
            "n_layer and num_hidden_layers are layers; n_head and num_attention_heads heads.",
        ),
        Misconception(
            "layout_layers_plus_heads",
            _reader(count=lambda encoder, decoder, h: encoder + 2 * decoder + h),
            "Layers and heads were added to count the patterns.",
            "Every layer has h heads of its own: multiply.",
        ),
        Misconception(
            "layout_cross_attention_not_counted",
            _reader(count=lambda encoder, decoder, h: (encoder + decoder) * h),
            "Each decoder layer was counted with one attention.",
            "It holds self-attention and cross-attention: count it twice.",
        ),
        Misconception(
            "layout_patterns_of_kv_heads",
            _patterns_of_kv_heads,
            "Patterns were counted with the key and value heads.",
            "Every query head computes a pattern, also where it shares its keys.",
        ),
        Misconception(
            "layout_decoder_forgotten",
            _reader(layers=lambda c: (_get(c, "num_layers"), 0)),
            "The decoder's layers were overlooked.",
            "decoder_layers or num_decoder_layers are layers besides the encoder's.",
        ),
        Misconception(
            "layout_layers_of_the_encoder_only",
            _reader(all_layers=lambda encoder, decoder: encoder),
            "num_layers holds the encoder's layers only.",
            "It counts encoder and decoder together.",
        ),
        Misconception(
            "layout_decoder_needs_a_number",
            _reader(layers=lambda c: (_get(c, "num_layers"), _get(c, "decoder_layers", 0))),
            "is_encoder_decoder was overlooked where no number of decoder layers is written.",
            "Then the decoder has as many layers as the encoder.",
        ),
        Misconception(
            "layout_around_text_config",
            _reader(inner=_outer_first),
            "Fields beside text_config were used.",
            "Where text_config is there, read nothing but that dictionary.",
        ),
        Misconception(
            "layout_of_the_pictures",
            _reader(inner=_vision),
            "The layout is that of vision_config, the model that looks at pictures.",
            "Read text_config.",
        ),
        Misconception(
            "layout_none_taken_as_a_value",
            _none_kept,
            "A field that is None was taken as a number.",
            "config.get(name, default) gives None where None is written. Test the value itself.",
        ),
        Misconception(
            "layout_shared_experts_counted",
            _reader(experts=_with_shared),
            "Shared experts were counted too.",
            "num_experts counts the routed ones.",
        ),
        Misconception(
            "layout_experts_swapped",
            _reader(experts=_swapped_experts, check_experts=lambda e, a: _check_experts(a, e)),
            "The experts and those that a token uses changed places.",
            "num_experts_per_tok is the smaller number, k of E.",
        ),
        Misconception(
            "layout_only_local_experts",
            _reader(experts=_only_local),
            "Experts were found only under the name num_local_experts.",
            "NAMES lists three names: also num_experts and n_routed_experts.",
        ),
        Misconception(
            "layout_dense_is_zero_experts",
            _reader(experts=_dense_is_zero, check_experts=lambda e, a: e and _check_experts(e, a)),
            "A model without experts got 0 experts.",
            "The docstring promises None for both entries.",
        ),
        Misconception(
            "layout_mqa_called_gqa",
            _reader(kind=lambda c, h, kv: "GQA" if _kind(c, h, kv) == "MQA" else _kind(c, h, kv)),
            "One key and value head for all was called GQA.",
            "That end of grouping has a name of its own: MQA.",
        ),
        Misconception(
            "layout_one_head_called_mqa",
            _reader(kind=lambda c, h, kv: "MQA" if kv == 1 else _kind(c, h, kv)),
            "A model with a single head was called MQA.",
            "Test first whether there are as many key and value heads as query heads: MHA.",
        ),
        Misconception(
            "layout_latent_not_named",
            _reader(kind=lambda c, h, kv: "MHA" if kv == h else "MQA" if kv == 1 else "GQA"),
            "Latent attention was named after its heads.",
            "kv_lora_rank makes it MLA, whatever num_key_value_heads says.",
        ),
        Misconception(
            "layout_config_changed",
            _popped,
            "Fields were taken out of the caller's configuration.",
            "Use config.get, not config.pop; or work on a copy.",
        ),
        Misconception(
            "layout_width_unchecked",
            _reader(check_width=_never),
            "A width that h does not divide was rounded down silently.",
            "Raise a ValueError that names h and D, unless the width of a head is given.",
        ),
        Misconception(
            "layout_groups_unchecked",
            _reader(check_groups=_never),
            "Key and value heads that do not divide the heads went through.",
            "Raise a ValueError that names both numbers.",
        ),
        Misconception(
            "layout_experts_unchecked",
            _reader(check_experts=_never),
            "A token may use more experts here than there are.",
            "Raise a ValueError that names both numbers.",
        ),
        Misconception(
            "layout_sizes_unchecked",
            _reader(check_sizes=_never),
            "A number below 1 went through.",
            "Raise a ValueError that names it.",
        ),
        Misconception(
            "layout_sides_unchecked",
            _reader(check_sides=_never),
            "Different numbers of heads in encoder and decoder went through.",
            "The layout has one number of heads: raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "part by part": _reader(),
        "renamed first": _read_by_renaming,
        "counted": _read_by_counting,
    },
)

# ---------------------------------------------------------------------------------- compare_cards


def _lines(
    before,
    after,
    *,
    line=lambda label, one, other: f"{label}: {_word(one)} -> {_word(other)}{_factor(one, other)}",
    keys=tuple(LABELS),
    label=LABELS.get,
    keep=lambda one, other: one != other,
):
    """The right lines, or wrong ones where a part is replaced."""
    old, new = read(before), read(after)
    return [line(label(k), old[k], new[k]) for k in keys if keep(old[k], new[k])]


def _word(value):
    return "none" if value is None else value


def _are_numbers(one, other):
    return isinstance(one, int) and isinstance(other, int)


def _factor(one, other):
    return f" (x {other / one:.4g})" if _are_numbers(one, other) else ""


def _wrong_lines(**changes):
    return lambda before, after: _lines(before, after, **changes)


def _wrong_factor(factor):
    """Lines with another word for the change of a number."""

    def line(label, one, other):
        change = factor(one, other) if _are_numbers(one, other) else ""
        return f"{label}: {_word(one)} -> {_word(other)}{change}"

    return _wrong_lines(line=line)


def _fields_compared(before, after):
    read(before), read(after)
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    return [
        f"{n}: {_word(before.get(n))} -> {_word(after.get(n))}{_factor(before.get(n), after.get(n))}"
        for n in names
    ]


def _with_points(one):
    return float(one) if isinstance(one, int) else _word(one)


def _silent(before, after):
    try:
        return _lines(before, after)
    except ValueError:
        return []


def _compare_by_loop(before, after):
    first, second = read(before), read(after)
    lines = []
    for key in first:
        if first[key] == second[key]:
            continue
        text = LABELS[key] + ": "
        text += "none" if first[key] is None else str(first[key])
        text += " -> " + ("none" if second[key] is None else str(second[key]))
        if key != "kind" and None not in (first[key], second[key]):
            text += f" (x {second[key] / first[key]:.4g})"
        lines.append(text)
    return lines


def _compare_by_pairs(before, after):
    pairs = zip(LABELS.values(), read(before).values(), read(after).values(), strict=True)
    changed = [(name, str(a), str(b)) for name, a, b in pairs if a != b]
    return [
        f"{name}: {a} -> {b}".replace("None", "none")
        + (f" (x {int(b) / int(a):.4g})" if a.isdigit() and b.isdigit() else "")
        for name, a, b in changed
    ]


def _two(make, other, **changes):
    """Two configurations of the same sizes; `changes` replace fields of the second."""

    def draw(r):
        s = _Sizes(r)
        found = {n: change(s) for n, change in changes.items()}
        return {"before": make(s), "after": {**other(s), **found}}

    return draw


def _thirty_two_to_eight(r):
    llama = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    return {
        "before": {**llama, "num_key_value_heads": 32},
        "after": {**llama, "num_key_value_heads": 8},
    }


compare_cards = Exercise(
    name="cards.compare_cards",
    points=2,
    reference=reference.compare_cards,
    returns=("the lines",),
    cases=(
        Case("the same card twice", _two(_llama, _llama)),
        Case("num_key_value_heads from 32 to 8", _thirty_two_to_eight),
        Case("other names, the same layout", _two(_gpt2, _bert)),
        Case("more key and value heads", _two(_llama, _bert)),
        Case("more layers", _two(_llama, _llama, num_hidden_layers=lambda s: 5 * s.L + 2)),
        Case("half as many heads", _two(_gpt2, _gpt2, n_head=lambda s: s.h // 2)),
        Case("experts added", _two(_llama, _mixtral)),
        Case("experts taken away", _two(_qwen_moe, _llama)),
        Case("latent attention", _two(_falcon, _deepseek)),
        Case("a decoder added", _two(_gpt2, _t5)),
        Case(
            "the first is impossible",
            _two(_without("hidden_size", _bert), _bert),
            kind="raises",
            promise=0.05,
            mentions=lambda args: ("hidden_size",),
        ),
        Case(
            "the second is impossible",
            _two(_llama, _llama, num_key_value_heads=lambda s: s.h - 1),
            kind="raises",
            promise=0.05,
            mentions=lambda args: (args["after"]["num_key_value_heads"],),
        ),
    ),
    misconceptions=(
        Misconception(
            "compare_other_way_round",
            lambda before, after: _lines(after, before),
            "The lines lead from the second card to the first.",
            "BEFORE -> AFTER: the first argument stands on the left.",
        ),
        Misconception(
            "compare_factor_upside_down",
            _wrong_factor(lambda one, other: f" (x {one / other:.4g})"),
            "The factor is before / after.",
            "What must BEFORE be multiplied with to give AFTER? after / before.",
        ),
        Misconception(
            "compare_difference",
            _wrong_factor(lambda one, other: f" (x {other - one:.4g})"),
            "The difference was given as the factor.",
            "The factor is after / before.",
        ),
        Misconception(
            "compare_percent",
            _wrong_factor(lambda one, other: f" (x {100 * other / one:.4g})"),
            "The factor is in percent.",
            "after / before, without 100.",
        ),
        Misconception(
            "compare_whole_factor",
            _wrong_factor(lambda one, other: f" (x {other // one})"),
            "The factor was rounded down to a whole number.",
            "Divide with /, and write it with :.4g.",
        ),
        Misconception(
            "compare_two_digits",
            _wrong_factor(lambda one, other: f" (x {other / one:.2g})"),
            "The factor has two digits.",
            'Four: f"{factor:.4g}".',
        ),
        Misconception(
            "compare_all_digits",
            _wrong_factor(lambda one, other: f" (x {other / one})"),
            "The factor is written with all its digits.",
            'Four: f"{factor:.4g}".',
        ),
        Misconception(
            "compare_two_decimals",
            _wrong_factor(lambda one, other: f" (x {other / one:.2f})"),
            "The factor has two decimal places.",
            'Four digits: f"{factor:.4g}".',
        ),
        Misconception(
            "compare_without_factor",
            _wrong_factor(lambda one, other: ""),
            "The factor is missing.",
            "Two numbers are followed by (x FACTOR).",
        ),
        Misconception(
            "compare_everything_listed",
            _wrong_lines(keep=lambda one, other: True),
            "What stays the same is listed as well.",
            "Compare the two entries, and go on when they are equal.",
        ),
        Misconception(
            "compare_only_first",
            lambda before, after: _lines(before, after)[:1],
            "Only the first difference was given.",
            "One changed field may change several entries: a line for each.",
        ),
        Misconception(
            "compare_fields",
            _fields_compared,
            "The fields of the configurations were compared, not what they mean.",
            "Read both with read_head_layout, and compare the layouts.",
        ),
        Misconception(
            "compare_keys_as_labels",
            _wrong_lines(label=lambda key: key),
            "The lines begin with the keys of the layout.",
            "LABELS has the words.",
        ),
        Misconception(
            "compare_alphabetically",
            lambda before, after: sorted(_lines(before, after)),
            "The lines are sorted by their letters.",
            "They come in the order of LABELS.",
        ),
        Misconception(
            "compare_points",
            _wrong_lines(
                line=lambda label, one, other: (
                    f"{label}: {_with_points(one)} -> {_with_points(other)}{_factor(one, other)}"
                )
            ),
            "Whole numbers are written with a point, like 8.0.",
            "Somewhere / made a float: use // for what is a whole number.",
        ),
        Misconception(
            "compare_none_in_python",
            _wrong_lines(
                line=lambda label, one, other: f"{label}: {one} -> {other}{_factor(one, other)}"
            ),
            "None stands in a line.",
            "The docstring writes it as none.",
        ),
        Misconception(
            "compare_none_as_zero",
            _wrong_lines(
                line=lambda label, one, other: (
                    f"{label}: {one or 0} -> {other or 0}{_factor(one, other)}"
                )
            ),
            "None was written as 0.",
            "The docstring writes it as none.",
        ),
        Misconception(
            "compare_one_text",
            lambda before, after: "\n".join(_lines(before, after)),
            "One text came back instead of a list of lines.",
            "Return the list; who prints it can join it.",
        ),
        Misconception(
            "compare_errors_swallowed",
            _silent,
            "An impossible card gives no lines and no error.",
            "Let the ValueError of read_head_layout through.",
        ),
    ),
    equivalents={"parts": _lines, "loop": _compare_by_loop, "pairs": _compare_by_pairs},
)

EXERCISES = (read_head_layout, compare_cards)
