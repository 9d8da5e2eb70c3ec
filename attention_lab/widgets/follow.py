"""A figure that follows sliders, menus and check boxes."""

from collections.abc import Callable
from html import escape

from ipywidgets import HTML, Layout, VBox, Widget
from matplotlib.figure import Figure

from attention_lab.figures import image_html
from attention_lab.outputs import show_everywhere


def follow(draw: Callable[..., tuple[Figure, str]], **controls: Widget) -> None:
    """Show a figure, and draw it anew whenever a control is moved.

    The figure for the first setting stays on an exported page, where controls do not work.

    Args:
        draw: called with a value for each control; gives a figure and its alt text. The alt text is
            shown below the figure too: it says what the new setting did. A ValueError that it
            raises is shown in its place.
        **controls: ipywidgets with a `value`, under the names that `draw` knows them by.
    """
    picture, words = HTML(), HTML()

    def redraw(*_) -> str:
        try:
            figure, alt = draw(**{name: control.value for name, control in controls.items()})
            picture.value = image_html(figure, alt)
        except ValueError as error:
            alt = str(error)
        words.value = f'<div role="status" style="line-height:1.4">{escape(alt)}</div>'
        return alt

    for control in controls.values():
        control.style.description_width = "14em"
        control.layout = Layout(width="34em")
        control.observe(redraw, names="value")
    alt = redraw()
    box = VBox([*controls.values(), picture, words])
    show_everywhere(picture.value, f"[Figure that follows controls: {alt}]", box)
