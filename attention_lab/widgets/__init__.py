"""What a notebook lets people move: the attention explorer, and figures that follow controls."""

from .axes import Part, click_axes
from .encoders import explore_cuts, explore_encoder, explore_own
from .explorer import Seen, explore
from .follow import follow
from .toys import explore_jobs, explore_readers, explore_stacks

__all__ = [
    "Part",
    "Seen",
    "click_axes",
    "explore",
    "explore_cuts",
    "explore_encoder",
    "explore_jobs",
    "explore_own",
    "explore_readers",
    "explore_stacks",
    "follow",
]
