"""What a cell shows: text for every reader, HTML for browsers, a widget where there are any."""

from IPython.display import display
from ipywidgets import Widget


class _Output:
    def __init__(self, bundle: dict):
        self.bundle = bundle

    def __repr__(self) -> str:
        return self.bundle["text/plain"]

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return self.bundle


def show_everywhere(html: str, plain: str, widget: Widget | None = None) -> None:
    """Display one thing in the richest form that the reader's program knows.

    Args:
        html: stands in for the widget on an exported page.
        plain: the same in words.
        widget: what a live notebook shows.
    """
    bundle = {"text/plain": plain, "text/html": html}
    if widget is not None:
        view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
        bundle["application/vnd.jupyter.widget-view+json"] = view
    display(_Output(bundle))
