"""Questions of the notebooks: predictions (recorded, never graded) and self-check quizzes.

A prediction is kept in `.progress/predictions.json` in the learner's folder, the one that holds
`mha_lib/`. It can be changed until its outcome is shown; from then on it stays as it was, so that
the comparison at the end of a notebook is honest. All text is plain: HTML in it is escaped, and
only `code` between backticks is set as code.
"""

import re
from dataclasses import dataclass, field
from html import escape

from ipywidgets import HTML, Layout, RadioButtons, VBox

from autograde.kept import Kept
from autograde.notebook import this_notebook

from .outputs import show_everywhere

CAME_TRUE, CAME_DIFFERENTLY = "came true", "came out differently"
_OPTIONS_ARE = "the options are numbered from 0"


def predict(key: str, question: str, options: list[str]) -> None:
    """Ask for a prediction and record the choice; it is not graded.

    Shows radio buttons (Tab and Space work as well as a mouse). Without widgets the text tells how
    to choose with `choose`. A choice made after the outcome was shown is recorded as that.

    Args:
        key: names the prediction in the whole course, e.g. "one-lookup-peak".
        question: plain text.
        options: plain text, two or more, all different.

    Raises:
        ValueError: if the options are fewer than two or repeat.
    """
    _check_options(options)
    asked = _asked[key] = _Asked(key, question, list(options))
    show_everywhere(_titled("Prediction", question), f"Prediction: {_bare(question)}")
    asked.refresh()
    listed = "".join(f"<li>{_rich(option)}</li>" for option in options)
    numbered = "\n".join(f"  {n}. {_bare(option)}" for n, option in enumerate(options, 1))
    how = (
        f"No buttons here? Run `from attention_lab.questions import choose`, then "
        f'`choose("{key}", 1)` for the first option.'
    )
    show_everywhere(
        f"<ol>{listed}</ol>{asked.status.value}<p>{_rich(how)}</p>",
        f"{numbered}\n{asked.plain_status}\n{_bare(how)}",
        VBox([asked.radio, asked.status]),
    )


def choose(key: str, number: int) -> None:
    """Record a prediction without the radio buttons.

    Args:
        key: as in the cell that asked, `predict("this-key", …)`.
        number: 1 for the first option.

    Raises:
        ValueError: if that question was not asked in this session, or has no such option.
    """
    if key not in _asked:
        raise ValueError(f"run the cell that asks {key!r} first")
    asked = _asked[key]
    if not 1 <= number <= len(asked.options):
        raise ValueError(f"choose a number from 1 to {len(asked.options)}, got {number}")
    asked.record(number - 1)
    show_everywhere(asked.status.value, asked.plain_status)


def outcome(key: str, came_true: int, text: str) -> None:
    """Show a prediction against what happened, and close the prediction.

    Args:
        key: as given to `predict`.
        came_true: index of the option that came true, from 0.
        text: what was measured, plain text.

    Raises:
        ValueError: if the question has no option with that index.
    """
    entries, trouble = PREDICTIONS.load()
    asked = _asked.get(key)
    entry = _matching(entries, key, asked.options if asked else None)
    options = asked.options if asked else entry["options"] if entry else None
    if options is None:  # a new session in which only this cell was run
        _show_outcome("", "none was recorded", "", text, trouble)
        return
    if not 0 <= came_true < len(options):
        raise ValueError(f"outcome {came_true} of {len(options)} options; {_OPTIONS_ARE}")
    if entry is None:
        entry = {"question": asked.question, "options": options, "choice": None, "late": False}
        entry["notebook"] = this_notebook()
    failure = PREDICTIONS.save({key: {**entry, "outcome": came_true}})
    trouble = failure or trouble
    if asked:
        asked.refresh()
    choice = entry["choice"]
    chosen = "none was recorded" if choice is None else options[choice]
    if choice is None:
        verdict = ""
    elif entry["late"]:
        verdict = "Chosen after the outcome had been shown."
    elif choice == came_true:
        verdict = "It came true."
    else:
        verdict = "It came out differently: which step of your reasoning would you change?"
    _show_outcome(options[came_true], chosen, verdict, text, trouble)


def predictions_table(prefix: str = "") -> None:
    """Show predictions against outcomes.

    Args:
        prefix: shows all recorded predictions whose key starts with it, also those of earlier
            sessions; "" shows those that were asked since the kernel started.
    """
    entries, trouble = PREDICTIONS.load()
    keys = [key for key in _asked if key.startswith(prefix)]
    keys += [key for key in entries if prefix and key.startswith(prefix) and key not in keys]
    rows, came_true, compared = [], 0, 0
    for key in keys:
        asked = _asked.get(key)
        entry = _matching(entries, key, asked.options if asked else None)
        choice, result = (entry["choice"], entry["outcome"]) if entry else (None, None)
        options = entry["options"] if entry else asked.options
        verdict = verdict_of(entry) if entry else "open"
        came_true += verdict == CAME_TRUE
        compared += verdict in (CAME_TRUE, CAME_DIFFERENTLY)
        rows.append(
            (
                asked.question if asked else entry["question"],
                "nothing" if choice is None else options[choice],
                "not shown yet" if result is None else options[result],
                verdict,
            )
        )
    if not rows:
        caption = "No predictions yet."
    elif compared:
        caption = f"Predictions against outcomes: {came_true} of {compared} came true (not graded)"
    else:
        caption = "Predictions against outcomes (not graded)"
    left = 'style="text-align:left"'
    head = ("Question", "Predicted", "Came", "Verdict")
    header = "".join(f'<th scope="col" {left}>{name}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td {left}>{_rich(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    table = f"<table><caption>{caption}</caption><thead><tr>{header}</tr></thead>"
    plain = [caption] + [
        f"- {_bare(question)}\n  predicted: {_bare(chosen)}; came: {_bare(came)}; {verdict}"
        for question, chosen, came, verdict in rows
    ]
    html = f"{table}<tbody>{body}</tbody></table>" if rows else f"<p>{caption}</p>"
    show_everywhere(html + _paragraph(trouble), "\n".join([*plain, trouble]).rstrip())


def verdict_of(entry: dict) -> str:
    """What became of a recorded prediction, in words."""
    if entry["outcome"] is None:
        return "open"
    if entry["choice"] is None:
        return "none recorded"
    if entry["late"]:
        return "chosen after the outcome"
    return CAME_TRUE if entry["choice"] == entry["outcome"] else CAME_DIFFERENTLY


def quiz(key: str, question: str, options: list[str], answer: int, because: str) -> None:
    """Ask a self-check question: choosing shows whether it is right, and why. Nothing is recorded.

    Without widgets the answer is folded into a <details> element.

    Args:
        key: names the question in the whole course.
        question, options: plain text, as for `predict`.
        answer: index of the right option, from 0.
        because: the reason, with its source.

    Raises:
        ValueError: if the options are fewer than two or repeat, or `answer` is none of them.
    """
    _check_options(options)
    if not 0 <= answer < len(options):
        raise ValueError(f"{key}: answer {answer} of {len(options)} options; {_OPTIONS_ARE}")
    radio, verdict = _radio(options), _status()

    def tell(change: dict) -> None:
        if change["new"] is not None:
            word = "Right." if change["new"] == answer else f"No. The answer is: {options[answer]}."
            verdict.value = _live(f"<strong>{_rich(word)}</strong> {_rich(because)}")

    radio.observe(tell, names="value")
    show_everywhere(_titled("Question", question), f"Question: {_bare(question)}")
    listed = "".join(f"<li>{_rich(option)}</li>" for option in options)
    numbered = "\n".join(f"  {n}. {_bare(option)}" for n, option in enumerate(options, 1))
    solved = f"<strong>{_rich(options[answer])}.</strong> {_rich(because)}"
    show_everywhere(
        f"<ol>{listed}</ol><details><summary>Answer</summary><p>{solved}</p></details>",
        f"{numbered}\n(The answer shows after a choice, where the notebook is live.)",
        VBox([radio, verdict]),
    )


# --- one question on the screen -------------------------------------------------------------------


@dataclass
class _Asked:
    """A prediction that was asked in this session, with its buttons."""

    key: str
    question: str
    options: list[str]
    radio: RadioButtons = field(init=False)
    status: HTML = field(init=False)
    plain_status: str = field(init=False, default="")

    def __post_init__(self):
        self.radio, self.status = _radio(self.options), _status()
        self.radio.observe(self._clicked, names="value")

    def _clicked(self, change: dict) -> None:
        if change["new"] is not None:
            self.record(change["new"])

    def record(self, choice: int) -> None:
        entries, trouble = PREDICTIONS.load()
        entry = _matching(entries, self.key, self.options)
        shown = entry["outcome"] if entry else None
        if entry and entry["choice"] == choice:
            return
        if shown is None or entry["choice"] is None:
            new = {"question": self.question, "options": self.options, "choice": choice}
            new |= {"late": shown is not None, "outcome": shown, "notebook": this_notebook()}
            failure = PREDICTIONS.save({self.key: new})
            trouble = failure or trouble
        self.refresh(trouble)

    def refresh(self, trouble: str = "") -> None:
        """Make the buttons and the line below them say what is recorded."""
        entries, found = PREDICTIONS.load()
        trouble = trouble or found
        entry = _matching(entries, self.key, self.options)
        choice, shown = (entry["choice"], entry["outcome"]) if entry else (None, None)
        if choice is None and shown is None:
            line = "Nothing recorded yet."
        elif choice is None:
            line = "The outcome has been shown already: a choice now is recorded as late."
        elif shown is None:
            line = f"Recorded: {self.options[choice]}. You can change it until the outcome shows."
        elif entry["late"]:
            line = f"Recorded after the outcome: {self.options[choice]}."
        else:
            line = f"Kept as you predicted it: {self.options[choice]}. The outcome has been shown."
        closed = choice is not None and shown is not None
        if choice is not None and self.radio.value != choice:
            self.radio.value = choice
        self.radio.disabled = closed
        self.plain_status = "\n".join(filter(None, [_bare(line), trouble]))
        self.status.value = _live(_rich(line)) + _paragraph(trouble)


_asked: dict[str, _Asked] = {}


def _radio(options: list[str]) -> RadioButtons:
    labels = [(_bare(option), number) for number, option in enumerate(options)]
    return RadioButtons(options=labels, value=None, layout=Layout(width="auto"))


def _status() -> HTML:
    return HTML(value="")


def _check_options(options: list[str]) -> None:
    if len(options) < 2 or len(set(map(_bare, options))) < len(options):
        raise ValueError(f"a question needs two or more different options, got {options}")


def _show_outcome(came: str, chosen: str, verdict: str, text: str, trouble: str) -> None:
    came = came and f"{came}."
    lines = [("Your prediction", f"{chosen}."), ("What came", " ".join(filter(None, [came, text])))]
    html = "".join(f"<p><strong>{name}:</strong> {_rich(line)}</p>" for name, line in lines)
    plain = [f"{name}: {_bare(line)}" for name, line in lines]
    show_everywhere(
        html + _paragraph(verdict) + _paragraph(trouble),
        "\n".join(filter(None, [*plain, verdict, trouble])),
    )


# --- text -----------------------------------------------------------------------------------------


def _rich(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _bare(text: str) -> str:
    return text.replace("`", "")


def _paragraph(text: str) -> str:
    return f"<p>{_rich(text)}</p>" if text else ""


def _titled(title: str, question: str) -> str:
    return f"<p><strong>{title}.</strong> {_rich(question)}</p>"


def _live(html: str) -> str:
    """Let a screen reader say what a choice changed. Lines wrap: the widget's own style forbids."""
    return f'<p role="status" style="white-space:normal;line-height:1.4;margin:4px 0">{html}</p>'


# --- the record -----------------------------------------------------------------------------------


def _is_sound(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    options, question = entry.get("options"), entry.get("question")
    if not isinstance(question, str) or not isinstance(options, list) or not options:
        return False
    places = {None, *range(len(options))}
    return (
        all(isinstance(option, str) for option in options)
        and isinstance(entry.get("late"), bool)
        and isinstance(entry.get("notebook", ""), str)
        and all(
            not isinstance(entry.get(name, ""), (list, dict)) and entry.get(name, "") in places
            for name in ("choice", "outcome")
        )
    )


PREDICTIONS = Kept("predictions", "your predictions", _is_sound)


def _matching(entries: dict[str, dict], key: str, options: list[str] | None) -> dict | None:
    """The record of a prediction, unless the question has other options by now."""
    entry = entries.get(key)
    return entry if entry and (options is None or entry["options"] == options) else None
