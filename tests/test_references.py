"""Every source that the course cites is in docs/references.json, and so is every quoted figure."""

import json
import re
from pathlib import Path

import pytest
from citations import QUOTED, arxiv_ids, citations, figures, sentences, texts_of_lesson
from citations import texts_of_module as texts_of

from attention_lab.model_cards import model_cards
from autograde.build.files import lessons

ROOT = Path(__file__).resolve().parents[1]
LIST = "docs/references.json"
BOOK = json.loads((ROOT / LIST).read_text(encoding="utf-8"))
PAPERS, SOURCES = BOOK["papers"], BOOK["sources"]
MODULES = [
    path
    for folder in ("attention_lab", "solutions", "solutions/hints", "autograde/exercises")
    for path in sorted((ROOT / folder).glob("*.*"))
    if path.suffix in (".py", ".md")
]
LESSONS = lessons()
LAYOUTS = {card.name: card.layout for card in model_cards()}
CLAIMS = {
    "num_layers": r"(?<!\+ )\b(\d+) layers",
    "d_model": r"hidden[ _]size (\d+)",
    "num_heads": r"\b(\d+) (?:query |attention )?heads",
    "num_kv_heads": r"\b(\d+) key(?: and |/)value heads",
    "head_dim": r"head_dim (\d+)",
    "num_experts": r"\b(\d+) (?:routed )?experts",
}
OURS = ("the text above", "this notebook", "notebook")
VERSIONED = re.compile(r"\b(transformers|vLLM)\s+(\d+(?:\.\d+)+)")
THREAD = re.compile(r"([\w.-]+/[\w.-]+)`?,?\s+(?:issue|number|pull request|discussion)\s+#?(\d+)")


def family(name: str) -> str:
    return name.split()[-1]


def names_of(paper: dict) -> set[str]:
    """The ways to name a paper's authors in a text."""
    names = [family(author) for author in paper["authors"]]
    if len(names) == 1:
        return {names[0]}
    joined = {f"{', '.join(names[:-1])} {word} {names[-1]}" for word in ("&", "and")}
    return joined | ({f"{names[0]} et al."} if len(names) > 2 else set())


def papers_named(authors: str, year: int | None) -> list[dict]:
    return [p for p in PAPERS if authors in names_of(p) and year in (None, p["year"])]


def sources_in(text: str) -> list[dict]:
    return [s for s in SOURCES if any(spelling in text for spelling in s["spellings"])]


def recorded(entries: list[dict]) -> set[str]:
    return {figure for entry in entries for fact in entry["facts"] for figure in fact["figures"]}


def of_models(sentence: str) -> set[str]:
    """The sizes of the models that a sentence names."""
    layouts = [
        layout for name, layout in LAYOUTS.items() if re.search(rf"{re.escape(name)}\b", sentence)
    ]
    return {str(layout[field]) for layout in layouts for field in CLAIMS}


def claims(text: str) -> list[tuple[str, str, str]]:
    """(model, field, figure) for what follows "MODEL: …" or "MODEL has …", up to the next stop."""
    text = " ".join(text.split())
    return [
        (name, field, figure)
        for name in LAYOUTS
        if name in text
        for said in re.findall(rf"(?<![\w-]){re.escape(name)}(?:: | has )([^.?;]*)", text)
        for field, pattern in CLAIMS.items()
        for figure in re.findall(pattern, said)
    ]


def wrong_models(where: str, texts: list[str]) -> list[str]:
    """Sizes of a named model that differ from its row in attention_lab/model_cards.json."""
    return [
        f"{where}: {name} is said to have {field} {figure}; attention_lab/model_cards.json says "
        f"{LAYOUTS[name][field]}."
        for text in texts
        for name, field, figure in claims(text)
        if figure != str(LAYOUTS[name][field])
    ]


def missing_papers(where: str, texts: list[str]) -> list[str]:
    return [
        f"{c} is not in {LIST}. Add the paper under “papers” (authors, year, title, arXiv id or "
        "venue) with the facts that you quote and where each stands, or mend the name or the year."
        for c in citations(where, texts)
        if not papers_named(c.authors, c.year)
    ]


def wrong_ids(where: str, texts: list[str]) -> list[str]:
    """arXiv ids that are not those of the paper named before them."""
    of_sources = " ".join(source["where"] for source in SOURCES)
    faults = []
    for sentence in [s for text in texts for s in sentences(text)]:
        for number in set(arxiv_ids(sentence)):
            before = citations(where, [sentence[: sentence.index(number)]])[-1:]
            papers = [p for c in before for p in papers_named(c.authors, c.year)]
            if number not in [p.get("arxiv") for p in papers] and number not in of_sources:
                name = before[0].authors if before else "no paper"
                faults.append(f"{where}: arXiv {number} stands behind {name}, {LIST} disagrees.")
    return faults


def wrong_titles(where: str, texts: list[str]) -> list[str]:
    """Titles in quotation marks that follow "Author et al. (2021, …" and are not the paper's."""
    faults = []
    for c in citations(where, texts):
        papers = papers_named(c.authors, c.year)
        behind = c.sentence[c.sentence.index(c.authors) + len(c.authors) :]
        quoted = re.match(r" \(?\d{4}(?:, arXiv [\d.]+)?, " + QUOTED.pattern, behind)
        if quoted and papers:
            title = quoted.group(1).rstrip(".,")
            if not any(title in paper["title"] for paper in papers):
                faults.append(f"{c}: “{title}” is not the title in {LIST}.")
    return faults


def strange_figures(where: str, texts: list[str]) -> list[str]:
    """Figures in a sentence that cites a source, but that no recorded fact of it holds."""
    faults = []
    for sentence in [s for text in texts for s in sentences(text)]:
        cited = [p for c in citations(where, [sentence]) for p in papers_named(c.authors, c.year)]
        cited += sources_in(sentence)
        strange = [n for n in figures(sentence) if n not in recorded(cited) | of_models(sentence)]
        if cited and strange:
            faults.append(
                f"{where}: “{sentence}” cites a source, but {LIST} records no fact of it with "
                f"{', '.join(strange)}. Add the fact (what, which figures, where it stands), or, "
                "if the figure is yours, put it into a sentence of its own."
            )
    return faults


def unknown_sources(where: str, texts: list[str]) -> list[str]:
    """“Source: …” without a known source, threads and versions that are not recorded."""
    faults = []
    for text in [" ".join(text.split()) for text in texts]:
        for said in re.findall(r"\bSources?: (.+)", text):
            papers = [p for c in citations(where, [said]) for p in papers_named(c.authors, c.year)]
            if not sources_in(said) and not papers and not any(word in said for word in OURS):
                faults.append(
                    f"{where}: “Source: {said}” is not in {LIST}. Add it under “sources” with a "
                    "spelling that is part of this text."
                )
        for repository, number in THREAD.findall(text):
            threads = [t for s in SOURCES if s["name"] == repository for t in s.get("threads", [])]
            if int(number) not in threads:
                faults.append(f"{where}: `{repository}` number {number} is not in {LIST}.")
        for name, version in VERSIONED.findall(text):
            if version not in [s.get("version") for s in SOURCES if s["name"] == name]:
                faults.append(f"{where}: {LIST} records another version of {name} than {version}.")
    return faults


RULES = (
    missing_papers,
    wrong_ids,
    wrong_titles,
    unknown_sources,
    strange_figures,
    wrong_models,
)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_quotes_what_is_recorded(lesson):
    texts = texts_of_lesson(lesson)
    faults = [fault for rule in RULES for fault in rule(lesson.stem, texts)]
    assert not faults, "\n".join(faults)


def test_docstrings_and_hints_cite_papers_of_the_list():
    faults = []
    for path in MODULES:
        for rule in (missing_papers, wrong_ids, wrong_titles):
            faults += rule(str(path.relative_to(ROOT)), texts_of(path))
    assert not faults, "\n".join(faults)


def test_sizes_of_models_are_compared():
    """The rule would be empty if the lessons said it in other words."""
    said = [claim for path in LESSONS for text in texts_of_lesson(path) for claim in claims(text)]
    assert {field for _, field, _ in said} == set(CLAIMS) and len(said) > 40


def test_every_entry_is_cited():
    texts = {path.stem: texts_of_lesson(path) for path in LESSONS}
    texts |= {str(path): texts_of(path) for path in MODULES}
    cited = [c for where, passages in texts.items() for c in citations(where, passages)]
    named = {p["title"] for c in cited for p in papers_named(c.authors, c.year)}
    assert [p["title"] for p in PAPERS if p["title"] not in named] == []
    everything = " ".join(
        " ".join(text.split()) for passages in texts.values() for text in passages
    )
    used = [source["name"] for source in sources_in(everything)]
    assert [source["name"] for source in SOURCES if source["name"] not in used] == []


def test_the_recorded_version_is_the_one_installed_for_the_tests():
    pins = (ROOT / "requirements.lock").read_text(encoding="utf-8").split()
    assert f"transformers=={sources_in('transformers library')[0]['version']}" in pins


def test_the_list_is_complete_and_unambiguous():
    for paper in PAPERS:
        assert paper["authors"] and paper["title"] and 1950 < paper["year"] < 2100, paper
        assert paper.get("arxiv") or paper.get("venue"), f"{paper['title']}: where can it be read?"
    for entry in PAPERS + SOURCES:
        assert entry["facts"], entry
        for fact in entry["facts"]:
            assert fact["says"] and fact["where"], f"a fact needs a place where it stands: {entry}"
            assert all(isinstance(figure, str) for figure in fact["figures"]), fact
    keys = [(name, paper["year"]) for paper in PAPERS for name in names_of(paper)]
    assert len(keys) == len(set(keys))
    ids = [paper["arxiv"] for paper in PAPERS if "arxiv" in paper]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "rule, text",
    [
        (missing_papers, "As Nobody et al. (2017) say."),
        (missing_papers, "As Vaswani et al. (2018, arXiv 1706.03762) say."),
        (missing_papers, "As Jain & Nobody 2019 say."),
        (wrong_ids, "Michel et al. 2019, arXiv 1905.09418."),
        (wrong_ids, "Jain & Wallace 2019 (arXiv 1908.04626) find, Wiegreffe & Pinter 2019 answer."),
        (wrong_ids, "See arXiv 1234.56789."),
        (wrong_titles, "Zhang et al. 2022, arXiv 2210.05144, “Mixture of Heads”."),
        (strange_figures, "37 of 48 heads could go (Voita et al. 2019)."),
        (strange_figures, "| 38 of 48 pruned, 0.25 BLEU | Voita et al. 2019 |"),
        (strange_figures, "The FlashAttention of vLLM 0.10.0 takes 48."),
        (wrong_models, "GPT-2: 12 layers of 12 heads, hidden size 1024."),
        (wrong_models, "Mixtral-8x7B has 32 layers and 9 experts."),
        (unknown_sources, "It is 64. Source: somebody's blog."),
        (unknown_sources, "On GitHub: `reczoo/FuxiCTR`, issue 31."),
        (unknown_sources, "See pytorch/pytorch, issue 1."),
        (unknown_sources, "Source: default of the configuration class in transformers 4.1.0."),
    ],
)
def test_a_wrong_citation_is_noticed(rule, text):
    faults = rule("lesson", [text])
    assert len(faults) == 1 and faults[0].startswith("lesson")


@pytest.mark.parametrize(
    "text",
    [
        "Our 3 heads differ. 38 of 48 could go (Voita et al. 2019, arXiv 1905.09418, section 5.2).",
        "| pruned | 38 of 48 | Voita et al. 2019, table 3 |\n| ours | 5 of 7 | measured |",
        "With $2^{10}$ and `x[3]`, Jain & Wallace (2019) in notebook 7.",
        "GPT-2 has 12 heads of 64, the base model of Vaswani et al. 2017 8 of 64.",
    ],
)
def test_a_right_citation_passes(text):
    assert [fault for rule in RULES for fault in rule("lesson", [text])] == []
