"""A notebook as the body of a page: markdown, code and outputs in reading order."""

from pathlib import Path

from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from traitlets import default

from autograde.nbgrader.formulas import markdown_with_formulas

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = ["text/html", "text/plain"]
WIDGET = "application/vnd.jupyter.widget-view+json"


class BodyExporter(TemplateExporter):
    """nbconvert with our template, and with formulas that need no script."""

    def default_filters(self):
        yield from super().default_filters()
        yield "markdown2html", markdown_with_formulas
        yield "highlight_code", Highlight2HTML(parent=self)

    @default("file_extension")
    def _file_extension_default(self):
        return ".html"

    @default("template_name")
    def _template_name_default(self):
        return "course"

    @default("extra_template_basedirs")
    def _extra_template_basedirs_default(self):
        return [str(TEMPLATES)]


def notebook_body(notebook: NotebookNode) -> str:
    """HTML of a notebook's cells, with the outputs that it holds."""
    for cell in notebook.cells:
        cell.outputs = [one for one in cell.get("outputs", []) if not _bare_widget(one)]
    exporter = BodyExporter()
    exporter.config.NbConvertBase.display_data_priority = SHOWN
    return exporter.from_notebook_node(notebook)[0]


def _bare_widget(output: NotebookNode) -> bool:
    """A progress bar: all that is left of it is where it started."""
    data = output.get("data", {})
    return WIDGET in data and "text/html" not in data
