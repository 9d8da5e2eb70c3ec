// Heads, experts and layers to click. Everything there is to show is known beforehand.

function render({ model, el }) {
  const parts = model.get("parts"), looks = model.get("looks");
  const root = document.createElement("div");
  root.className = "axes";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", model.get("title"));
  const grid = document.createElement("div");
  grid.setAttribute("role", "radiogroup");
  grid.setAttribute("aria-label", "Heads, experts and layers");
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  const help = document.createElement("p");
  help.className = "axes-help";
  help.textContent = "Click a part or a layer, or move with the arrow keys. Layers run from the bottom to the top.";

  // A row is a list of numbers of parts: the layer's own button first, then its heads or experts.
  const rows = [];
  const layers = parts.filter(([kind]) => kind === "layer").map(([, layer]) => layer);
  for (const layer of layers) {
    const label = parts.findIndex((part) => part[0] === "layer" && part[1] === layer);
    for (const kind of ["head", "expert"]) {
      const row = [...parts.keys()].filter((n) => parts[n][0] === kind && parts[n][1] === layer);
      if (row.length) rows.unshift(kind === "head" ? [label, ...row] : [null, ...row]);
    }
  }

  const buttons = parts.map(([kind, layer, number], n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("role", "radio");
    button.setAttribute("data-lm-suppress-shortcuts", "true"); // the arrow keys are ours
    button.addEventListener("click", () => choose(n));
    button.addEventListener("keydown", (event) => move(event, n));
    return button;
  });
  for (const row of rows) {
    const line = document.createElement("div");
    line.className = "axes-row";
    for (const n of row) {
      if (n !== null) line.append(buttons[n]);
      else line.append(Object.assign(document.createElement("span"), { className: "axes-gap" }));
    }
    grid.append(line);
  }

  function choose(n) {
    model.set("chosen", n);
    model.save_changes();
  }

  function move(event, n) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const row = rows.findIndex((one) => one.includes(n)), column = rows[row].indexOf(n);
    const to = rows[Math.min(rows.length - 1, Math.max(0, row + step[0]))];
    const next = to[Math.min(to.length - 1, Math.max(0, column + step[1]))] ?? to[1];
    choose(next);
    buttons[next].focus();
  }

  function draw() {
    const chosen = model.get("chosen"), letters = model.get("relations")[chosen];
    parts.forEach(([kind, layer, number], n) => {
      const button = buttons[n], name = kind === "layer" ? `Layer ${layer}` : `Layer ${layer}, ${kind} ${number}`;
      const look = kind === "layer" ? null : looks[letters[n]];
      button.textContent = look ? `${kind} ${number}` : `layer ${layer}`;
      if (look) {
        const word = document.createElement("small");
        word.textContent = look[0];
        button.append(word);
        button.style.background = look[1];
        button.style.color = look[2];
      }
      button.setAttribute("aria-label", look ? `${name}: ${look[0]}` : name);
      button.setAttribute("aria-checked", n === chosen);
      button.tabIndex = n === chosen ? 0 : -1;
    });
    said.textContent = model.get("words")[chosen];
  }

  root.append(grid, said, help);
  el.append(root);
  model.on("change:chosen", draw);
  draw();
}

export default { render };
