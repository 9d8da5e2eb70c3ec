"""The command line: check, hint, grade, stats, doctor, build, site, course, watch, pack."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from tqdm import tqdm

from .errors import AutogradeError, GraderFault

app = typer.Typer(
    help="Check and grade the course's exercises.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

# PyTorch takes a second to import: each command imports what it needs, so that --help is instant.


@app.command()
def check(
    exercises: Annotated[
        list[str] | None, typer.Argument(help="e.g. heads.split_heads; all by default")
    ] = None,
    lib: Annotated[
        Path | None, typer.Option(help="the mha_lib folder; looked for from here upwards")
    ] = None,
) -> None:
    """Check your own mha_lib against the visible cases."""
    from .checking import check_library
    from .notebook import find_library
    from .records import visible_exercise
    from .report import results_table

    folder = (lib or find_library(Path.cwd())).resolve()
    if not folder.is_dir():
        raise AutogradeError(f"There is no folder {folder}.")
    names = [visible_exercise(name).name for name in exercises or []]
    results = check_library(folder, names or None)
    wanted = [r for r in results.values() if names or r.status != "missing"]
    _print_messages(wanted)
    console.print(results_table(results, "Visible cases"))
    if not all(result.passed for result in results.values()):
        raise typer.Exit(1)


@app.command()
def hint(
    exercise: Annotated[str, typer.Argument(help="e.g. heads.split_heads")],
    steps: Annotated[int, typer.Option(min=1, help="how many steps to unfold")] = 1,
) -> None:
    """Unfold the hints for an exercise, one step after another."""
    from rich.markdown import Markdown

    from .hints import hints_of
    from .records import visible_exercise

    name = visible_exercise(exercise).name
    hints = hints_of(name)
    for number, step in enumerate(hints[:steps], 1):
        console.print(Markdown(f"**Hint {number} of {len(hints)}: {step.title}**\n\n{step.text}\n"))
    if steps < len(hints):
        console.print(f"One more: autograde hint {name} --steps {steps + 1}", highlight=False)


@app.command()
def grade(
    submissions: Annotated[list[Path], typer.Argument(help="folders that hold mha_lib/")],
    assignment: Annotated[
        str | None, typer.Option(help="grade this assignment's exercises only")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="write the results here; - for stdout")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; one a core by default")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="address of a Dask scheduler, e.g. tcp://host:8786")
    ] = None,
    sandbox: Annotated[
        str, typer.Option(help="auto (the strongest that works), bubblewrap, namespaces, landlock")
    ] = "auto",
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="only for submissions of people you trust")
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            help="to call submitted functions on: cpu, cuda, mps, auto (a GPU, if there is one); "
            "another one than the CPU needs --no-sandbox, and changes no score"
        ),
    ] = "cpu",
) -> None:
    """Grade submissions with the hidden cases (the instructor's side)."""
    target = Path(json_file) if json_file and json_file != "-" else None
    try:
        mode = "off" if no_sandbox else sandbox
        _grade(submissions, assignment, json_file == "-", target, workers, scheduler, mode, device)
    except KeyboardInterrupt:
        _fail(f"Stopped. {_what_is_kept(target)}", code=130)


def _what_is_kept(target: Path | None) -> str:
    if target:
        return "What is graded is kept: the same command goes on from there."
    return "Nothing is kept; with --json FILE the same command goes on where it stopped."


def _grade(submissions, assignment, to_stdout, target, workers, scheduler, mode, device) -> None:
    from . import sandbox as sandboxes
    from .batch import grade_all
    from .journal import Journal, write_whole
    from .report import class_table, summary_tables

    if not scheduler:
        mode = sandboxes.choose(mode)
        Console(stderr=True).print(sandboxes.describe(mode), highlight=False)
    journal = Journal(target) if target else None  # now rather than after an hour of grading
    try:
        graded, faults = grade_all(
            submissions,
            assignment=assignment,
            workers=workers,
            scheduler=scheduler,
            sandbox=mode,
            device=device,
            journal=journal,
        )
    except GraderFault as fault:
        raise GraderFault(f"{fault} {_what_is_kept(target)}") from None
    listing = [{"submission": str(path), **one.to_json()} for path, one in graded.items()]
    text = json.dumps(listing, indent=2)
    if to_stdout:
        print(text)
    else:
        if target:
            write_whole(target, text + "\n")
            journal.close(remove=not faults)
        results = {path: one.exercises for path, one in graded.items()}
        if len(results) == 1:
            (only,) = results.values()
            _print_messages(r for r in only.values() if r.status != "missing")
            if unwritten := [r.exercise for r in only.values() if r.status == "missing"]:
                console.print(f"Not written yet: {', '.join(unwritten)}.\n", highlight=False)
        console.print(class_table(results))
        for table in summary_tables(results, len(faults)):
            console.print(table)
    if faults:
        path, why = next(iter(faults.items()))
        again = " The same command tries these again." if target else ""
        raise GraderFault(
            f"{len(faults)} of {len(faults) + len(graded)} submissions could not be graded, "
            f"e.g. {path}: {why}{again}"
        )


@app.command()
def stats(
    source: Annotated[
        Path, typer.Argument(help="a course directory, or a file of autograde grade --json")
    ],
    assignment: Annotated[str | None, typer.Argument(help="this assignment only")] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="write the numbers here, a line an exercise")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="write a page with bars here, in one file")
    ] = None,
) -> None:
    """Show what a class did with each exercise (the instructor's side)."""
    from .journal import write_whole
    from .statistics.answers import read_answers
    from .statistics.items import items, similar_answers
    from .statistics.tables import as_csv, items_table, mistakes_table, similar_table

    answers, notes = read_answers(source, assignment)
    counted, similar = items(answers), similar_answers(answers)
    for table in (items_table(counted), mistakes_table(counted), similar_table(similar)):
        console.print(table)
    for note in notes:
        console.print(note, highlight=False, markup=False)
    if csv_file:
        write_whole(csv_file, as_csv(counted))
    if html_file:
        from .statistics.page import page, write_page

        write_page(html_file, page(assignment or source.resolve().name, counted, similar, notes))


@app.command()
def doctor(
    sandbox: Annotated[
        str, typer.Option(help="auto (the strongest that works), or one by name")
    ] = "auto",
) -> None:
    """Tell what holds submitted code on this machine, and try to get out of it."""
    from . import sandbox as sandboxes
    from .doctor import examine, findings_table

    works = ", ".join(sandboxes.available()) or "none"
    console.print(f"Sandboxes that work here, the strongest first: {works}.", highlight=False)
    mode = sandboxes.choose(sandbox)
    console.print(sandboxes.describe(mode), highlight=False)
    bar = tqdm(examine(mode), desc="trying to get out", unit="escape", leave=False)
    findings = list(bar)
    console.print(findings_table(findings))
    if not_held := [finding.attempt for finding in findings if not finding.held]:
        console.print(f"Not held: {', '.join(not_held)}.", style="red", highlight=False)
        raise typer.Exit(1)


@app.command()
def build(
    check: Annotated[
        bool,
        typer.Option("--check", help="change nothing; fail if a file is not what the build makes"),
    ] = False,
) -> None:
    """Make stubs, notebooks, recorded cases and the concept map (the author's side)."""
    from .build.files import drift, write_built

    changed = list(drift()) if check else write_built()
    for path in changed:
        console.print(("out of date: " if check else "wrote ") + path, highlight=False)
    if check and changed:
        raise AutogradeError("Run `autograde build` and commit what it writes.")
    if not changed:
        console.print("Everything is up to date.")


@app.command()
def site(
    directory: Annotated[Path, typer.Argument(help="the folder for the pages")] = Path("site"),
    run: Annotated[
        list[str] | None,
        typer.Option(help="run this notebook, show the others without outputs; all by default"),
    ] = None,
) -> None:
    """Render the course as static HTML, the learner's edition (the author's side)."""
    from .build.site import write_site

    pages = write_site(directory, run=run or None)
    console.print(f"Wrote {len(pages)} pages: {directory}/index.html", highlight=False)


@app.command()
def course(
    directory: Annotated[Path, typer.Argument(help="a new folder")],
    exchange: Annotated[
        Path | None, typer.Option(help="nbgrader's exchange folder, writable for all")
    ] = None,
    course_id: Annotated[
        str, typer.Option(help="nbgrader's name for the course")
    ] = "multi_head_attention",
    lms: Annotated[
        str | None, typer.Option(help="canvas or moodle: understand its names for downloads")
    ] = None,
) -> None:
    """Make an nbgrader course directory, ready for `nbgrader` and the formgrader."""
    from .course import create_course

    create_course(directory, exchange=exchange, course_id=course_id, lms=lms)
    console.print(f"Made {directory}. Its README.md lists the next commands.", highlight=False)
    if exchange is None:
        console.print(
            "No --exchange was named: nbgrader will use its default, /usr/local/share/nbgrader/"
            "exchange, which must exist and be writable for all. (Not needed for an LMS.)",
            highlight=False,
        )


@app.command()
def watch(
    course: Annotated[Path, typer.Argument(help="a course directory")],
    once: Annotated[
        bool, typer.Option("--once", help="end when all is answered, for cron")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.1, help="seconds between two looks into the exchange")
    ] = 2.0,
) -> None:
    """Collect, grade and answer submissions as they arrive (the instructor's side)."""
    from .nbgrader.watch import watch as watch_course

    try:
        watch_course(course, once=once, interval=interval, console=console)
    except KeyboardInterrupt:
        _fail("Stopped. The same command goes on from here.", code=130)


@app.command()
def pack(
    assignment: Annotated[str, typer.Argument(help="e.g. 01_one_lookup")],
    lib: Annotated[
        Path | None, typer.Option(help="the mha_lib folder; looked for from here upwards")
    ] = None,
    output: Annotated[Path, typer.Option(help="folder for the zip")] = Path("."),
) -> None:
    """Put your notebook and mha_lib into one zip, to upload where an LMS collects it."""
    from .notebook import find_library
    from .pack import pack as make_zip

    path = make_zip(assignment, lib or find_library(Path.cwd()), output)
    console.print(f"Wrote {path}.", highlight=False)


def _print_messages(results) -> None:
    from .report import result_text

    for result in results:
        if not result.passed:
            console.print(result_text(result) + "\n", markup=False, highlight=False)


def main() -> None:
    """Run the command line; errors meant for people come as one sentence."""
    try:
        app()
    except AutogradeError as error:
        _fail(str(error))
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in ("autograde", "solutions"):
            raise
        _fail(
            "This command needs the reference and the author's entries, which are only in the "
            "course's repository: install the course from there. `autograde check` works without."
        )


def _fail(sentence: str, code: int = 2) -> None:
    Console(stderr=True).print(sentence, style="red", highlight=False, markup=False)
    sys.exit(code)
