"""From outcomes to a verdict: right or wrong, which known mistake, and a message that helps."""

from collections.abc import Callable
from dataclasses import replace

from .calls import Outcome
from .compare import describe, fingerprint, kind, mismatch, same_fingerprint
from .habits import HABITS, habit
from .records import RecordedCase, RecordedExercise
from .results import ExerciseResult
from .source import CONTROL

Call = Callable[[RecordedCase], Outcome]

LONGEST_MESSAGE = 8_000  # characters


def judge(exercise: RecordedExercise, call: Call) -> ExerciseResult:
    """Run an exercise's cases through `call` and grade what comes back.

    The points of the core are given when every core case passes; each promise of the docstring
    then adds its share. A case that breaks a bound ends the exercise.
    """
    outcomes: list[Outcome] = []
    for case in exercise.cases:
        outcomes.append(call(case))
        if outcomes[-1].final:
            break
    return conclude(exercise, outcomes, call)


def conclude(exercise: RecordedExercise, outcomes: list[Outcome], call: Call) -> ExerciseResult:
    """Grade outcomes; `call` is for what they leave open."""
    result = verdict(exercise, outcomes)
    if result.status == "failed" and result.score == 0 and not result.misconception:
        return _with_habit(result, habit(exercise, outcomes, call))
    return result


def _with_habit(result: ExerciseResult, name: str | None) -> ExerciseResult:
    if name is None:
        return result
    lines = [result.message, f"What happened: {HABITS[name].says}", f"Hint: {HABITS[name].hint}"]
    return replace(result, misconception=name, message="\n".join(lines))


def verdict(exercise: RecordedExercise, outcomes: list[Outcome]) -> ExerciseResult:
    """Grade outcomes, one for each case in order; fewer when one ended the run."""
    if outcomes[-1].final:
        return _verdict_without_answers(exercise, outcomes)
    faults = [
        fault(case, out, exercise) for case, out in zip(exercise.cases, outcomes, strict=True)
    ]
    if not any(faults):
        text = "\n".join([f"All {len(faults)} cases pass.", *remarks(exercise, outcomes)])
        return _result(exercise, exercise.points, "passed", None, text)
    names = known_mistakes(exercise, outcomes, faults)
    message = _failure_message(exercise, outcomes, faults, names)
    first = _first_fault(exercise, faults)
    status = (
        "error" if outcomes[first].error and exercise.cases[first].kind != "raises" else "failed"
    )
    score = score_of(exercise, [not f for f in faults])
    return _result(exercise, score, status, names[0] if names else None, message)


def _verdict_without_answers(exercise, outcomes) -> ExerciseResult:
    last = outcomes[-1]
    if last.not_written:
        text = f"{exercise.name} is not written yet: it still raises NotImplementedError."
        return _result(exercise, 0.0, "missing", None, text)
    if last.absent:
        return _result(exercise, 0.0, "missing", None, last.absent)
    if last.unloadable:
        text = f"mha_lib/{exercise.module}.py could not be loaded.\n{last.unloadable}"
        return _result(exercise, 0.0, "error", None, text)
    case = exercise.cases[len(outcomes) - 1]
    text = f"Case “{case.name}”: {last.stopped}"
    return _result(exercise, 0.0, "timeout" if last.timed_out else "error", None, text)


def score_of(exercise: RecordedExercise, passed: list[bool]) -> float:
    """The points for cases passed or not, in the exercise's order."""
    pairs = list(zip(exercise.cases, passed, strict=True))
    if not all(ok for case, ok in pairs if not case.promise):
        return 0.0
    lost = sum(case.promise for case, ok in pairs if not ok)
    return round(exercise.points * (1 - lost), 2)


def fault(case: RecordedCase, outcome: Outcome, exercise: RecordedExercise) -> str | None:
    """Say what is wrong with one outcome, or None."""
    if case.kind == "raises":
        return _fault_of_raising(case, outcome)
    if outcome.error:
        return f"your function raised an error\n{outcome.error}"
    if outcome.value is None and case.kind == "value" and case.expected is not None:
        return "your function returned None: is a `return` missing?"
    if case.kind == "unchanged":
        if outcome.changed:
            return f"the call altered its argument {' and '.join(outcome.changed)} in place"
        return None
    return _compare(exercise.returns, case, outcome.value)


def _fault_of_raising(case: RecordedCase, outcome: Outcome) -> str | None:
    numbers = " and ".join(case.mentions)
    if not outcome.error:
        return f"expected a ValueError that names {numbers}, but the call went through"
    if "ValueError" not in outcome.error.types:
        return f"expected a ValueError, got\n{outcome.error}"
    if missing := [m for m in case.mentions if m not in outcome.error.message]:
        names = " and ".join(missing)
        return f"the ValueError should name {names}; it says: {outcome.error.message or 'nothing'}"
    return None


def _compare(returns: tuple[str, ...], case: RecordedCase, got) -> str | None:
    if len(returns) == 1:
        return mismatch(case.expected, got, returns[0], case.tolerance)
    if not isinstance(got, tuple | list) or len(got) != len(returns):
        return f"expected ({', '.join(returns)}), got {describe(got)}"
    triples = zip(returns, case.expected, got, strict=True)
    found = (mismatch(one, other, name, case.tolerance) for name, one, other in triples)
    return next(filter(None, found), None)


def known_mistakes(
    exercise: RecordedExercise, outcomes: list[Outcome], faults: list[str | None]
) -> list[str]:
    """Ids of the known mistakes that give these answers: several if no case tells them apart.

    A mistake is named when it agrees with the submission on every core case or, failing that, on
    every core case that fails. When the core passes, it must pass the core as well and break the
    same promises (and only those, if there is such a mistake).
    """
    core = [i for i, case in enumerate(exercise.cases) if not case.promise]
    failing = [i for i in core if faults[i]]
    if failing:
        return _common(exercise, outcomes, core) or _common(exercise, outcomes, failing)
    everywhere = list(range(len(faults)))
    broken = [*core, *[i for i in everywhere if faults[i]]]
    return _common(exercise, outcomes, everywhere) or _common(exercise, outcomes, broken)


def _common(exercise: RecordedExercise, outcomes: list[Outcome], where: list[int]) -> list[str]:
    """The known mistakes that agree with the submission in all of these cases."""
    agreeing = [_agreeing(exercise.cases[i], outcomes[i]) for i in where]
    common = set.intersection(*agreeing)
    return [name for name in exercise.explanations if name in common]


def _agreeing(case: RecordedCase, outcome: Outcome) -> set[str]:
    mine = fingerprint(outcome, of_changes=case.kind == "unchanged")
    return {name for name, known in case.fingerprints.items() if same_fingerprint(mine, known)}


def remarks(exercise: RecordedExercise, outcomes: list[Outcome]) -> list[str]:
    """What is worth knowing of a right answer."""
    for case, outcome in zip(exercise.cases, outcomes, strict=True):
        if case.kind == "value" and _wider(case.expected, case.args, outcome.value):
            return ["Remark: float32 went in and float64 came out; dtype should follow the inputs."]
    return []


def _wider(expected, args: dict, value) -> bool:
    floats = {a.dtype for a in args.values() if hasattr(a, "dtype") and kind(a) == "float"}
    values = value if isinstance(value, tuple | list) else [value]
    dtypes = {str(v.dtype) for v in values if hasattr(v, "dtype")}
    return {str(d) for d in floats} == {"torch.float32"} and "torch.float64" in dtypes


def _failure_message(exercise, outcomes, faults, names) -> str:
    first = _first_fault(exercise, faults)
    case, passed = exercise.cases[first], sum(not f for f in faults)
    lines = [
        f"{passed} of {len(faults)} cases pass. First to fail: “{case.name}”.",
        faults[first][0].upper() + faults[first][1:],
        f"Called with {called_with(case.args)}.",
    ]
    if case.promise:
        lines.insert(0, "The main part is right; the docstring promises more.")
    lines += _explained(exercise, names) or _hunch(exercise, outcomes[first], case)
    asked = sorted(set().union(*[outcome.asked for outcome in outcomes]))
    if asked:
        lines.append(f"(The reference answered for {', '.join(asked)}, which did not pass.)")
    return "\n".join(lines)


def _explained(exercise: RecordedExercise, names: list[str]) -> list[str]:
    explanations = [exercise.explanations[name] for name in names]
    if len(explanations) == 1:
        return [f"What happened: {explanations[0].says}", f"Hint: {explanations[0].hint}"]
    if explanations:
        lines = [f"  - {e.says} Hint: {e.hint}" for e in explanations[:3]]
        return ["No case can tell these apart; one of them happened:", *lines]
    return []


def _hunch(exercise: RecordedExercise, outcome: Outcome, case: RecordedCase) -> list[str]:
    """An explanation for one core case alone: there may be more than one mistake."""
    agreeing = (
        [] if case.promise else [n for n in exercise.explanations if n in _agreeing(case, outcome)]
    )
    if len(agreeing) != 1:
        return []
    explanation = exercise.explanations[agreeing[0]]
    return [
        "This case alone looks like a known mistake (others differ, so there may be several): "
        f"{explanation.says}",
        f"Hint: {explanation.hint}",
    ]


def called_with(args: dict) -> str:
    """The arguments of a call in a line: shapes of tensors, short values as they are."""

    def word(name: str, value: object) -> str:
        if hasattr(value, "shape"):
            return f"{name} {tuple(value.shape)}"
        text = repr(value)
        room = 400 if isinstance(value, dict) else 80  # a model's configuration fits
        return f"{name} = {text if len(text) < room else describe(value)}"

    return ", ".join(word(name, value) for name, value in args.items())


def _first_fault(exercise: RecordedExercise, faults: list[str | None]) -> int:
    """The first core case that fails, or the first promise when the core passes."""
    failing = [i for i, f in enumerate(faults) if f]
    return min(failing, key=lambda i: (exercise.cases[i].promise > 0, i))


def _result(exercise, score, status, misconception, message) -> ExerciseResult:
    text = CONTROL.sub("�", message)[:LONGEST_MESSAGE]
    return ExerciseResult(
        exercise.name, float(score), float(exercise.points), status, misconception, text
    )
