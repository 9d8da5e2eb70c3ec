"""Model cards: what a configuration says about its heads, and what a change in it changes."""

# What models call the same thing. The first name is the commonest, and the one for messages.
NAMES = {
    "num_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"),
    "decoder_layers": ("decoder_layers", "num_decoder_layers"),
    "d_model": ("hidden_size", "n_embd", "d_model", "dim"),
    "num_heads": (
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
    ),
    "num_kv_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim", "d_kv"),
    "num_experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok", "n_activated_experts"),
}

# What `compare_cards` calls the entries of a layout, in its order.
LABELS = {
    "num_layers": "layers",
    "d_model": "width of a token",
    "num_heads": "query heads a layer",
    "num_kv_heads": "key and value heads a layer",
    "head_dim": "width of a head",
    "kind": "kind of attention",
    "attention_computations": "attention patterns",
    "kv_cache_bytes_per_token": "cache bytes a token",
    "num_experts": "experts a layer",
    "experts_per_token": "experts a token uses",
}


def read_head_layout(config: dict) -> dict:
    """Read from a model's configuration how its attention is laid out.

    `config` is what a config.json holds. It is left as it was. Models have several names for the
    same thing, listed in `NAMES` above; a field that is None counts as missing.

    - If `text_config` holds a dictionary (a model that also sees or hears), that dictionary is
      read in place of the whole; the fields around it count for nothing.
    - `decoder_layers` or `num_decoder_layers` make an encoder-decoder: the other number of layers
      is the encoder's. If both are missing and `is_encoder_decoder` is True, there are as many
      decoder layers as encoder layers. A decoder layer holds two attentions.
    - Key and value heads are as many as query heads, unless given. `multi_query` True means one,
      whatever else is written, unless `new_decoder_architecture` is True as well (Falcon).
    - A head is D / h wide, unless `head_dim` or `d_kv` is given.
    - `kv_lora_rank` makes multi-head latent attention (MLA): a head is
      `qk_nope_head_dim` + `qk_rope_head_dim` wide (a `head_dim` counts for nothing), and a layer
      caches `kv_lora_rank` + `qk_rope_head_dim` numbers a token in place of keys and values.
    - Experts are the routed ones; shared experts are not counted. 0 experts means none.

    Layers of another kind than attention and layers that keep only a window of the cache are not
    recognised: all layers count alike. An encoder such as BERT counts as if it generated.

    Args:
        config: field name -> value.

    Returns:
        A dictionary with these keys, in this order:
        "num_layers": of encoder and decoder together.
        "d_model": D.
        "num_heads", "num_kv_heads": in one attention; for MLA as written.
        "head_dim": d.
        "kind": "MLA"; "MHA" when there are as many key and value heads as query heads; "MQA" when
            there is one for several query heads; else "GQA".
        "attention_computations": patterns (T × T tables) computed in all layers.
        "kv_cache_bytes_per_token": what one more token adds to the cache, at 2 bytes a number,
            in all layers that cache: the decoder's, where there is an encoder too. The cache of
            cross-attention does not grow with the text and is left out.
        "num_experts", "experts_per_token": None for a model without experts.

    Raises:
        ValueError: if the layers, the width, the heads, the experts a token (where there are
            experts), or one of the two widths of MLA are missing: the message holds the first
            name in `NAMES`, or the MLA field's own. Also if h does not divide D and no width of a
            head is given; if the key and value heads do not divide h; if a token uses more
            experts than there are; if encoder and decoder differ in their heads
            (`encoder_attention_heads`, `decoder_attention_heads`); or if a number is below 1.
            The message names the offending numbers.

    Source: Ainslie et al. 2023, arXiv 2305.13245 (MHA, GQA, MQA); DeepSeek-V2's report,
        arXiv 2405.04434, abstract (MLA); what MLA caches: DeepSeek's own inference code.
    """
    raise NotImplementedError


def compare_cards(before: dict, after: dict) -> list[str]:
    """Say what changes in a model's attention from one configuration to another.

    Both are read with `read_head_layout`. Each entry of the layout that differs gives one line, in
    the order of `LABELS`; what stays the same gives none. A line is, for numbers,

        "LABEL: BEFORE -> AFTER (x FACTOR)"

    with the factor AFTER / BEFORE as f"{factor:.4g}" writes it, e.g.

        "key and value heads a layer: 32 -> 8 (x 0.25)"
        "layers: 12 -> 32 (x 2.667)"

    and without the factor where one of the two is a word or None; None is written as none:

        "kind of attention: MHA -> GQA"
        "experts a layer: none -> 8"

    Lines are compared letter by letter: whole numbers without a point, one space where one stands
    here, no full stop.

    Args:
        before, after: configurations, as for `read_head_layout`.

    Returns:
        A list of lines; empty when both have the same layout.

    Raises:
        ValueError: if one of the two is impossible, as `read_head_layout` says it.

    Source: the entries are those of `read_head_layout`.
    """
    raise NotImplementedError
