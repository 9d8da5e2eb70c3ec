"""The reference made fast: kept with the notebooks' tools, which may not import this package."""

from attention_lab.fused import KVCache, attend, multi_head_attention

__all__ = ["KVCache", "attend", "multi_head_attention"]
