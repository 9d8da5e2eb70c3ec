"""The course as static HTML, the learner's edition: `make site`.

Made with nbconvert and a template of ours, because nbconvert is installed anyway and needs no
Node, which Jupyter Book 2 does; and because the pages must show what a learner may see and no
more: formulas without a script, a widget's static stand-in, answers folded.

Every page is one file without scripts: it can be opened from a disk, mailed and printed. Notebooks
run one after another, since they measure times.
"""

import re
from collections.abc import Collection
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from autograde.errors import AutogradeError
from autograde.journal import write_whole
from autograde.nbgrader.formulas import markdown_with_formulas

from ..concept_map import CoreIdea, concept_map, core_idea
from ..files import MODULE_NAMES, ROOT, learners_notebook, lessons
from ..running import kept_run, solved_run
from .api import api_body
from .links import with_links, with_pictures
from .notebook import notebook_body
from .page import COURSE, MADE_BY, Neighbour, page

CACHE = ROOT / ".site_cache"
LEARNERS_PART = "## Five minutes as an instructor"  # the README up to here
RUN = (
    "This page shows the notebook after a run with finished functions. Widgets are pictures here, "
    "and nothing can be checked: run it yourself for that (see Start)."
)
NOT_RUN = "This page shows the notebook before it has run."


def write_site(
    directory: Path, *, run: Collection[str] | None = None, cache: Path = CACHE
) -> list[str]:
    """Write all pages; pages of an earlier build that are no more are removed.

    Args:
        directory: made if it isn't there.
        run: names of the notebooks to run, the others are shown without outputs; all if None.
        cache: where runs are kept.

    Returns:
        The pages' paths below `directory`.

    Raises:
        AutogradeError: if there is no such notebook, one does not run, or a link leads nowhere.
    """
    pages = site_pages(run=run, cache=cache)
    for old in directory.rglob("*.html"):
        if MADE_BY in old.read_text(encoding="utf-8", errors="replace")[:1000]:
            old.unlink()
    for path, text in pages.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    return list(pages)


def site_pages(*, run: Collection[str] | None, cache: Path) -> dict[str, str]:
    """Path below the site -> text, of every page."""
    if unknown := set(run or ()) - {lesson.stem for lesson in lessons()}:
        raise AutogradeError(f"There is no notebook {', '.join(sorted(unknown))}.")
    ideas = {lesson.stem: core_idea(lesson) for lesson in lessons()}
    notebooks = {lesson.stem: learners_notebook(lesson) for lesson in lessons()}
    wanted = [name for name in notebooks if run is None or name in run]
    notebooks |= solved_runs({name: notebooks[name] for name in wanted}, cache)
    known = _known_pages(ideas.values())
    pages = {
        "index.html": _front(known),
        "concept_map.html": _concept_map(known),
        "mha_lib.html": _api(list(ideas.values()), known),
    }
    around = [None, *(Neighbour(_page_of(name), idea.title) for name, idea in ideas.items()), None]
    for i, (name, notebook) in enumerate(notebooks.items()):
        source = f"notebooks/{name}.ipynb"
        pages[_page_of(name)] = page(
            _page_of(name),
            ideas[name].title,
            with_links(notebook_body(notebook), source, _page_of(name), known),
            note=RUN if name in wanted else NOT_RUN,
            contents=True,
            before=around[i],
            after=around[i + 2],
        )
    return pages


def solved_runs(notebooks: dict[str, NotebookNode], cache: Path) -> dict[str, NotebookNode]:
    """The notebooks with outputs; those that ran before are not run again."""
    new = [nb for name, nb in notebooks.items() if not kept_run(name, nb, cache).is_file()]
    cells = sum(cell.cell_type == "code" for notebook in new for cell in notebook.cells)
    runs = {}
    with tqdm(total=cells, unit="cell", disable=not cells, leave=False) as bar:
        for name, notebook in notebooks.items():
            bar.set_description(name)
            runs[name] = solved_run(name, notebook, cache, on_cell=bar.update)
    return runs


def _known_pages(ideas: Collection[CoreIdea]) -> dict[str, str]:
    """Path in the repository -> page, and place on it."""
    return {
        "docs/concept_map.md": "concept_map.html",
        **{f"notebooks/{idea.lesson}.ipynb": _page_of(idea.lesson) for idea in ideas},
        **{f"mha_lib/{module}.py": f"mha_lib.html#{module}" for module in MODULE_NAMES},
    }


def _page_of(name: str) -> str:
    return f"notebooks/{name}.html"


def _front(known: dict[str, str]) -> str:
    """What the README says to a learner, with links in its table of notebooks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(LEARNERS_PART)[0]
    for path in known:
        if path.startswith("notebooks/"):
            number = Path(path).name[:2]
            text = re.sub(rf"^\| ({number} [^|]+?) \|", rf"| [\1]({path}) |", text, flags=re.M)
    html = with_pictures(markdown_with_formulas(text), "README.md")
    return page("index.html", COURSE, with_links(html, "README.md", "index.html", known))


def _concept_map(known: dict[str, str]) -> str:
    html = markdown_with_formulas(concept_map(lessons()))
    body = with_links(html, "docs/concept_map.md", "concept_map.html", known)
    return page("concept_map.html", "Concept map", body, contents=True)


def _api(ideas: list[CoreIdea], known: dict[str, str]) -> str:
    body = with_links(api_body(ideas), "", "mha_lib.html", known)
    return page("mha_lib.html", "Functions of mha_lib", body)
