"""Every core idea is explained, measured, drawn and practised, and its mistakes have names."""

from dataclasses import fields

import pytest

from autograde.build.concept_map import PLACES, core_idea, section
from autograde.build.files import ROOT, lessons
from autograde.build.lessons import notebook_from_lesson
from autograde.exercises import EXERCISES

HOW = "a lesson begins with its core idea: see the top of autograde/build/concept_map.py"
WITHOUT_EXERCISES = {"00_start_here"}  # it shows how the course works; nothing in it is graded


@pytest.fixture(scope="module", params=lessons(), ids=lambda path: path.stem)
def lesson(request):
    return request.param, core_idea(request.param), notebook_from_lesson(request.param)


def test_the_idea_is_said_and_explained(lesson):
    path, idea, notebook = lesson
    assert idea.says.endswith("."), f"{path.name}: {HOW}"
    for place in PLACES:
        assert idea.places[place], f"{path.name}: {HOW}; “{place}” is missing"
        assert section(notebook, idea.places[place])[0], (
            f"{path.name}: there is no heading “{idea.places[place]}” ({place})"
        )
    text, _ = section(notebook, idea.places["explained"])
    assert len(text.split()) > 60, f"{path.name}: “{idea.places['explained']}” explains too little"


def test_the_idea_is_measured_with_the_learners_own_code(lesson):
    path, idea, notebook = lesson
    _, cells = section(notebook, idea.places["measured"])
    graded = [source for source in cells if source.startswith("needs(")]
    assert graded or (path.stem in WITHOUT_EXERCISES and cells), (
        f"{path.name}: below “{idea.places['measured']}” no cell runs the learner's functions "
        "(they begin with `needs`)"
    )


def test_the_idea_is_drawn(lesson):
    path, idea, notebook = lesson
    _, cells = section(notebook, idea.places["drawn"])
    assert any("alt=" in source for source in cells), (
        f"{path.name}: below “{idea.places['drawn']}” no cell shows a figure"
    )


def test_the_idea_is_practised_and_its_mistakes_have_names(lesson):
    path, idea, _ = lesson
    if path.stem in WITHOUT_EXERCISES:
        assert not idea.exercises
        return
    assert len(idea.exercises) >= 2, f"{path.name}: fewer than two graded exercises"
    for name in idea.exercises:
        known = len(EXERCISES[name].misconceptions)
        assert known >= 6, f"{name}: {known} named mistakes, six at least"


def test_there_are_thirteen_ideas():
    rows = [core_idea(lesson) for lesson in lessons()]
    assert [idea.lesson[:2] for idea in rows] == [f"{number:02}" for number in range(13)]
    assert len({idea.says for idea in rows}) == 13


def test_every_exercise_belongs_to_one_idea():
    practised = [name for lesson in lessons() for name in core_idea(lesson).exercises]
    assert sorted(practised) == sorted(EXERCISES)


def test_learners_do_not_get_the_metadata():
    idea = core_idea(lessons()[1])
    assert [f.name for f in fields(idea) if not getattr(idea, f.name)] == []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert "core_idea" not in path.read_text(encoding="utf-8"), path.name
