"""What a notebook lets people move: the attention explorer, and figures that follow controls."""

from .explorer import explore, explore_cuts, explore_encoder
from .follow import follow

__all__ = ["explore", "explore_cuts", "explore_encoder", "follow"]
