"""How soon the attention explorer answers, in JupyterLab in a real, headless Chromium.

python benchmarks/widgets.py             measure and print
python benchmarks/widgets.py --write     put the table into docs/benchmarks.md
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from tables import ROOT, machine, table, write_section
from tqdm import tqdm

sys.path.insert(0, str(ROOT / "tests"))
from browser import OPEN, TOKEN, headless_browser, jupyter_server, page_on
from test_lab import RUN

GOAL = 100  # milliseconds
TIMES = 16  # even: what is toggled ends as it was
LONG = "The bird flew home because it was tired and " * 6 + "slept."  # 58 tokens with the marks

# What is run to get the explorer: notebook -> what the cells start with, the explorer's own last.
EXPLORERS = {
    "00_start_here": (["%load_ext"], "explore_encoder("),
    "12_the_block_and_a_real_model": (
        ["%load_ext", "encoder = load_encoder()"],
        'needs("attention.causal_mask", "heads.split_heads"',
    ),
}

# `explorer()` is the one on the notebook in front; `frame()` waits until it is painted.
HELP = """
    const panel = '.jp-NotebookPanel:not(.lm-mod-hidden)';
    const explorer = () => document.querySelector(`${panel} .explorer`);
    const paint = () => new Promise(next => requestAnimationFrame(next));
    const frame = async () => { await paint(); await paint(); };
"""

# Milliseconds from running the cell until all maps are drawn.
FIRST = (
    "async start => {"
    + HELP
    + "const run = "
    + RUN
    + """;
    const from = performance.now(), cell = run([start]);
    while (!explorer()?.querySelector('canvas')) await paint();
    await frame();
    const taken = performance.now() - from;
    await cell;
    return taken;
}"""
)

# Milliseconds from an action to the frame that shows what it did. With `remote` the maps are drawn
# anew when Python has answered, and that is waited for.
ANSWER = (
    "async ([action, turn, remote]) => {"
    + HELP
    + """
    const root = explorer(), thumbs = root.querySelector('.explorer-thumbs');
    const named = name => root.querySelector(`[aria-label="${name}"]`);
    const pick = (box, value) => { box.value = value; box.dispatchEvent(new Event('change')); };
    const slide = (box, value) => { box.value = value; box.dispatchEvent(new Event('input')); };
    const heads = root.querySelectorAll('.explorer-grid button');
    const rows = root.querySelectorAll('.explorer-large tbody tr');
    const actions = {
        'another head': () => heads[turn % heads.length].click(),
        'another token': () => rows[turn % rows.length].dispatchEvent(new MouseEvent('mouseenter')),
        'one lens more or less': () => root.querySelector('[data-place=lens]').click(),
        'a head on or off': () => root.querySelector('[data-place=silence]').click(),
        'another mask': () => pick(named('Mask'), turn % 2 ? 'causal' : 'none'),
        'another number of heads': () => slide(named('Heads'), turn % 2 ? 5 : 6),
    };
    await frame();
    const drawn = new Promise((next, fail) => {
        setTimeout(() => fail(`no answer to: ${action}`), 20000);
        if (remote) new MutationObserver(next).observe(thumbs, { childList: true });
        else next();
    });
    const from = performance.now();
    actions[action]();
    await drawn;
    await frame();
    return performance.now() - from;
}"""
)

LOCAL = ("another head", "another token", "one lens more or less")
REMOTE = {
    "00_start_here": ("a head on or off",),
    "12_the_block_and_a_real_model": (
        "a head on or off",
        "another mask",
        "another number of heads",
    ),
}


def measure(page, name: str) -> tuple[float, dict[tuple[str, str], list[float]]]:
    """Milliseconds to the first picture, and for each sentence and action those of every try."""
    starts, own = EXPLORERS[name]
    page.evaluate(OPEN, f"notebooks/{name}.ipynb")
    page.evaluate(RUN, starts)
    first, found = page.evaluate(FIRST, own), {}
    for length in ("short", "long"):
        if length == "long":
            box = page.locator(".explorer:visible").get_by_label("Sentence")
            box.fill(LONG)
            box.press("Enter")
            page.get_by_role("button", name="slept", exact=True).wait_for()
        for action in (*LOCAL, *REMOTE[name]):
            tries = []
            for turn in tqdm(range(1, TIMES + 1), desc=f"{name[:2]}, {length}, {action}"):
                tries.append(page.evaluate(ANSWER, [action, turn, action in REMOTE[name]]))
            found[length, action] = tries
    return first, found


def main(write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False):
    """Time the explorer in two notebooks."""
    rows, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(ROOT / "notebooks", home / "notebooks")
        left_out = shutil.ignore_patterns("lessons", "hints", "__pycache__")
        shutil.copytree(ROOT / "solutions", home / "mha_lib", ignore=left_out)
        environment = {"HOME": folder, "JUPYTER_CONFIG_DIR": f"{folder}/.jupyter"}
        with (
            jupyter_server(home, home / "server.log", environment) as server,
            headless_browser() as browser,
        ):
            page = page_on(server, browser)
            page.goto(f"{server}/lab?token={TOKEN}")
            page.wait_for_function("window.jupyterapp")
            for name in EXPLORERS:
                first, found = measure(page, name)
                lines.append(f"First picture in {name}: {first / 1000:.2f} s.")
                for (length, action), tries in found.items():
                    numbers = f"{median(tries):.0f}", f"{max(tries):.0f}"
                    rows.append([f"{name[:2]}, {length} sentence: {action}", *numbers])
    load = f"Load average of the last minute: {os.getloadavg()[0]:.1f}."
    text = "\n\n".join(
        [
            f"`python benchmarks/widgets.py` on {machine()}. {load}",
            " ".join(lines),
            table([f"milliseconds, {TIMES} tries, goal {GOAL}", "median", "longest"], rows),
        ]
    )
    print(text)
    if write:
        write_section("widgets", text)


if __name__ == "__main__":
    typer.run(main)
