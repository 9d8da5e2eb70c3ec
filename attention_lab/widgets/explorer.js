// The explorer's view. All of the looking happens here, so that it answers at once; only what changes the
// weights themselves (mask, number of heads, silenced heads) asks Python.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  // JupyterLab takes the arrow keys (to collapse headings) unless what has the focus says otherwise.
  if (["button", "input", "select"].includes(tag)) element.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const percent = (weight) => `${Math.round(weight * 100)} %`;
const same = (one, other) => one[0] === other[0] && one[1] === other[1];

class View {
  constructor(model, el) {
    this.model = model;
    this.root = make("div", { class: "explorer", role: "group", "aria-label": model.get("title") });
    el.append(this.root);
    this.read();
    this.build();
  }

  // --- data ---------------------------------------------------------------------------------------

  read() {
    const bytes = this.model.get("data");
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    this.numbers = new Float32Array(copy);
    [this.layers, this.heads, this.size] = this.model.get("shape");
  }

  weight(layer, head, query, key) {
    return this.numbers[((layer * this.heads + head) * this.size + query) * this.size + key];
  }

  colour(weight) {
    const shades = this.model.get("shades");
    const place = Math.round(Math.min(1, Math.max(0, weight)) * (shades.length - 1));
    return shades[place];
  }

  get tokens() { return this.model.get("tokens"); }
  get place() { return [this.model.get("layer"), this.model.get("head")]; }
  get query() { return Math.min(this.model.get("query"), this.size - 1); }
  get lenses() { return this.model.get("lenses"); }

  name([layer, head]) {
    return this.layers > 1 ? `Layer ${layer}, head ${head}` : `Head ${head}`;
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    this.model.save_changes();
  }

  // --- the parts ----------------------------------------------------------------------------------

  build() {
    this.said = make("p", { class: "explorer-said", role: "status", "aria-live": "polite" });
    this.note = make("p", { class: "explorer-note", role: "status", "aria-live": "polite" });
    this.counts = make("p", { class: "explorer-help", role: "status", "aria-live": "polite" });
    this.problem = make("p", { class: "explorer-problem", role: "alert" });
    this.thumbs = make("div", { class: "explorer-thumbs", role: "radiogroup", "aria-label": "All heads" });
    this.large = make("div", { class: "explorer-large" });
    this.over = make("div", { class: "explorer-over" });
    this.root.replaceChildren(
      this.controls(),
      this.note,
      this.counts,
      make("div", { class: "explorer-columns" }, this.thumbs, this.large),
      this.said,
      this.over,
      this.problem,
    );
    this.drawAll();
  }

  controls() {
    const row = make("div", { class: "explorer-controls" });
    if (this.model.get("sentence")) row.append(this.sentenceBox());
    row.append(...this.menu("Model", "models", "model"), ...this.menu("Mask", "masks", "mask"));
    const counts = this.model.get("head_counts");
    if (counts.length > 1) {
      const now = counts.indexOf(this.model.get("num_heads"));
      row.append(this.slider("Heads", counts.length - 1, now, (at) => `${counts[at]}`, (at) => this.set({ num_heads: counts[at] })));
    }
    if (this.model.get("roles").length) {
      const now = Math.round(this.model.get("threshold") * 20);
      row.append(this.slider("Mark heads with a score of at least", 20, now, (at) => (at / 20).toFixed(2), (at) => this.set({ threshold: at / 20 })));
    }
    return row;
  }

  menu(label, names, chosen) {
    if (this.model.get(names).length < 2) return [];
    const choice = make("select", { "aria-label": label, onchange: (event) => this.set({ [chosen]: event.target.value }) });
    for (const name of this.model.get(names)) choice.append(make("option", { value: name, selected: name === this.model.get(chosen) }, name));
    return [make("label", {}, `${label} `, choice)];
  }

  slider(label, max, value, words, act) {
    const shown = make("output", { "aria-hidden": "true" }, words(value));
    const slider = make("input", {
      type: "range", min: 0, max, value, "aria-label": label, "aria-valuetext": words(value),
      oninput: () => {
        const at = Number(slider.value);
        shown.textContent = words(at);
        slider.setAttribute("aria-valuetext", words(at));
        act(at);
      },
    });
    return make("label", {}, `${label} `, slider, " ", shown);
  }

  sentenceBox() {
    const send = () => this.set({ sentence: box.value.trim() || this.model.get("sentence") });
    const box = make("input", {
      type: "text", size: 48, "aria-label": "Sentence", value: this.model.get("sentence"),
      onkeydown: (event) => { if (event.key === "Enter") send(); },
    });
    return make("span", {}, make("label", {}, "Sentence ", box), " ", make("button", { type: "button", onclick: send }, "Look"));
  }

  drawAll() {
    this.keepFocus(() => { this.drawThumbs(); this.drawLarge(); });
    this.drawOver();
    this.say();
    this.note.textContent = this.model.get("note");
    this.problem.textContent = this.model.get("message");
  }

  // What has changed together is drawn once.
  update(changed) {
    const any = (...names) => names.some((name) => changed.has(name));
    if (any("data", "tokens")) {
      this.read();
      this.drawAll();
      return;
    }
    if (any("layer", "head", "lenses", "silenced", "scores", "threshold")) this.markThumbs();
    if (any("layer", "head", "lenses", "silenced")) this.keepFocus(() => this.drawLarge());
    else if (any("query")) this.markRows();
    if (any("layer", "head", "lenses", "query")) this.drawOver();
    this.say();
    this.note.textContent = this.model.get("note");
    this.problem.textContent = this.model.get("message");
  }

  // Buttons are made anew; the one that stands where the focus was gets it back.
  keepFocus(draw) {
    const place = document.activeElement?.dataset.place;
    const mine = place && this.root.contains(document.activeElement);
    draw();
    if (mine) this.root.querySelector(`[data-place="${place}"]`)?.focus();
  }

  drawThumbs() {
    const table = make("div", { class: "explorer-grid", style: `--heads:${this.heads}` });
    table.append(make("span", { "aria-hidden": "true" }));
    for (let head = 0; head < this.heads; head++) table.append(make("span", { "aria-hidden": "true" }, `${head}`));
    this.buttons = [];
    for (let layer = 0; layer < this.layers; layer++) {
      table.append(make("span", { "aria-hidden": "true" }, this.layers > 1 ? `layer ${layer}` : ""));
      for (let head = 0; head < this.heads; head++) table.append(this.thumb(layer, head));
    }
    const keys = this.model.get("can_silence") ? "; L lays it over the sentence, S silences it." : "; L lays it over the sentence.";
    const help = make("p", { class: "explorer-help" }, `Click a head, or move with the arrow keys${keys}`);
    this.thumbs.replaceChildren(table, help);
    this.markThumbs();
  }

  thumb(layer, head) {
    const canvas = make("canvas", { width: this.size, height: this.size, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    const picture = context.createImageData(this.size, this.size);
    const start = (layer * this.heads + head) * this.size * this.size;
    for (let cell = 0; cell < this.size * this.size; cell++) {
      const colour = parseInt(this.colour(this.numbers[start + cell]).slice(1), 16);
      picture.data.set([colour >> 16, (colour >> 8) & 255, colour & 255, 255], 4 * cell);
    }
    context.putImageData(picture, 0, 0);
    const mark = make("span", { class: "explorer-mark", "aria-hidden": "true" });
    const button = make("button", {
      type: "button", role: "radio", "data-place": `${layer},${head}`,
      onclick: () => this.set({ layer, head }),
      onkeydown: (event) => this.moveHead(event, layer, head),
    }, canvas, mark);
    this.buttons.push({ place: [layer, head], button, mark });
    return button;
  }

  // The role that fits a head best, if it does so at all: [number, score].
  role([layer, head]) {
    const scores = this.model.get("scores").map((table) => table[layer][head]);
    const best = Math.max(...scores);
    return best >= this.model.get("threshold") ? [scores.indexOf(best), best] : null;
  }

  described(place) {
    const role = this.role(place);
    return role ? `${this.name(place)}, ${this.model.get("roles")[role[0]]} ${role[1].toFixed(2)}` : this.name(place);
  }

  markThumbs() {
    const silenced = this.model.get("silenced");
    const roles = this.model.get("roles"), colours = this.model.get("mark_colours");
    const found = roles.map(() => 0);
    for (const { place, button, mark } of this.buttons) {
      const chosen = same(place, this.place), role = this.role(place);
      const off = silenced.some((pair) => same(pair, place));
      if (role) found[role[0]]++;
      mark.textContent = role ? role[0] + 1 : "";
      button.style.borderColor = role ? colours[role[0]] : "";
      button.title = this.described(place) + (off ? ", silenced" : "");
      button.setAttribute("aria-label", button.title);
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
      button.classList.toggle("explorer-lens", this.lenses.some((lens) => same(lens, place)));
      button.classList.toggle("explorer-silenced", off);
      button.classList.toggle("explorer-role", roles.length > 0);
    }
    const left = this.buttons.length - found.reduce((sum, count) => sum + count, 0);
    const words = roles.map((role, number) => `${number + 1} ${role}: ${found[number]}`);
    const least = this.model.get("threshold").toFixed(2);
    this.counts.textContent = roles.length ? `Heads with at least ${least}, by their best role: ${words.join(", ")}; not marked: ${left}` : "";
  }

  // The table stays while the tokens do; a cell is touched only where its number changes.
  drawLarge() {
    const drawn = this.tokens.join("\n");
    if (this.drawn !== drawn) {
      this.caption = make("caption");
      this.below = make("div");
      this.large.replaceChildren(this.table(), this.below);
      this.drawn = drawn;
    }
    const [layer, head] = this.place;
    const last = this.model.get("shades").length - 1;
    const start = (layer * this.heads + head) * this.size * this.size;
    this.cells.forEach((cell, number) => {
      const weight = this.numbers[start + number];
      const shown = `${weight.toFixed(2).replace(/^0/, "")} ${Math.round(weight * last)}`;
      if (cell.shown === shown) return;
      cell.shown = shown;
      cell.text.data = shown.split(" ")[0];
      cell.style.background = this.colour(weight);
      cell.style.color = weight > 0.55 ? "#000" : "#fff";
    });
    this.caption.textContent = `${this.name(this.place)}: each row is a query, each column a key`;
    this.below.replaceChildren(this.actions());
    this.markRows();
  }

  table() {
    const head_row = make("tr", {}, make("td"));
    for (const token of this.tokens) head_row.append(make("th", { scope: "col" }, make("span", {}, token)));
    const body = make("tbody");
    this.rows = [];
    this.cells = [];
    this.tokens.forEach((token, query) => {
      const button = make("button", {
        type: "button", "data-place": `row ${query}`, onclick: () => this.set({ query }), onkeydown: (event) => this.moveQuery(event, query),
      }, token);
      const row = make("tr", { onmouseenter: () => this.set({ query }) }, make("th", { scope: "row" }, button));
      for (let key = 0; key < this.size; key++) {
        const cell = document.createElement("td");
        cell.text = document.createTextNode("");
        cell.append(this.size <= 12 ? cell.text : make("span", { class: "explorer-hidden" }, cell.text));
        this.cells.push(cell);
        row.append(cell);
      }
      row.addEventListener("mouseover", (event) => {
        const cell = event.target.closest("td"), key = cell ? cell.cellIndex - 1 : 0;
        if (cell) cell.title = `“${token}” reads “${this.tokens[key]}”: ${percent(this.weight(...this.place, query, key))}`;
      });
      this.rows.push({ row, button });
      body.append(row);
    });
    return make("table", {}, this.caption, make("thead", {}, head_row), body);
  }

  actions() {
    const row = make("div", { class: "explorer-controls" });
    const on = this.lenses.some((lens) => same(lens, this.place));
    row.append(make("button", { type: "button", "data-place": "lens", "aria-pressed": `${on}`, onclick: () => this.toggleLens() }, "Lay over the sentence"));
    if (this.model.get("can_silence")) {
      const off = this.model.get("silenced").some((pair) => same(pair, this.place));
      row.append(make("button", { type: "button", "data-place": "silence", "aria-pressed": `${off}`, onclick: () => this.toggleSilence() }, "Silence this head"));
    }
    return row;
  }

  markRows() {
    this.rows.forEach(({ row, button }, query) => {
      row.classList.toggle("explorer-row", query === this.query);
      button.setAttribute("aria-pressed", query === this.query);
      button.tabIndex = query === this.query ? 0 : -1;
    });
  }

  // Bars under each token, one a lens: many lenses on the same sentence.
  drawOver() {
    const lenses = this.lenses.length ? this.lenses : [this.place];
    const colours = this.model.get("lens_colours");
    const sentence = make("div", { class: "explorer-sentence" });
    this.tokens.forEach((token, key) => {
      const bars = make("div", { class: "explorer-bars" });
      lenses.forEach(([layer, head], number) => {
        const weight = this.weight(layer, head, this.query, key);
        const style = `height:${Math.max(1, weight * 48)}px;background:${colours[number % colours.length]}`;
        bars.append(make("span", { style, title: `${this.name([layer, head])}: ${percent(weight)}` }));
      });
      const word = make("span", { class: key === this.query ? "explorer-asking" : "" }, token);
      sentence.append(make("div", { class: "explorer-token" }, bars, word));
    });
    const legend = make("ul", { class: "explorer-legend" });
    lenses.forEach((lens, number) => legend.append(this.legend(lens, colours[number % colours.length])));
    const title = `What “${this.tokens[this.query]}” reads, through ${lenses.length === 1 ? "one lens" : `${lenses.length} lenses`}`;
    this.over.replaceChildren(make("p", { class: "explorer-title" }, title), sentence, legend);
  }

  legend(lens, colour) {
    const chip = make("span", { class: "explorer-chip", style: `background:${colour}`, "aria-hidden": "true" });
    return make("li", {}, chip, `${this.name(lens)}: most on ${this.most(lens, 1)}`);
  }

  say() {
    const read = this.most(this.place, 3);
    this.said.textContent = `${this.described(this.place)}. “${this.tokens[this.query]}” reads ${read}.`;
  }

  // The keys that a query reads most, in words.
  most([layer, head], count) {
    const weight = (key) => this.weight(layer, head, this.query, key);
    const order = [...Array(this.size).keys()].sort((one, other) => weight(other) - weight(one));
    if (weight(order[0]) === 0) return "nothing";
    return order.slice(0, count).map((key) => `“${this.tokens[key]}” ${percent(weight(key))}`).join(", ");
  }

  // --- what people do -----------------------------------------------------------------------------

  moveHead(event, layer, head) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "l") this.toggleLens();
    else if (key === "s" && this.model.get("can_silence")) this.toggleSilence();
    else if (!step) return;
    else {
      const to = [
        Math.min(this.layers - 1, Math.max(0, layer + step[0])),
        Math.min(this.heads - 1, Math.max(0, head + step[1])),
      ];
      this.set({ layer: to[0], head: to[1] });
      this.buttons.find(({ place }) => same(place, to)).button.focus();
    }
    event.preventDefault();
  }

  moveQuery(event, query) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const to = Math.min(this.size - 1, Math.max(0, query + step));
    this.set({ query: to });
    this.rows[to].button.focus();
    event.preventDefault();
  }

  toggleLens() {
    const without = this.lenses.filter((lens) => !same(lens, this.place));
    const lenses = without.length < this.lenses.length ? without : [...this.lenses, this.place];
    this.set({ lenses: lenses.slice(-this.model.get("lens_colours").length) });
  }

  toggleSilence() {
    const silenced = this.model.get("silenced");
    const without = silenced.filter((pair) => !same(pair, this.place));
    this.set({ silenced: without.length < silenced.length ? without : [...silenced, this.place] });
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  const changed = new Set();
  const names = ["data", "tokens", "layer", "head", "query", "lenses", "silenced", "scores", "threshold", "note", "message"];
  for (const name of names) {
    model.on(`change:${name}`, () => {
      if (!changed.size) queueMicrotask(() => { view.update(changed); changed.clear(); });
      changed.add(name);
    });
  }
}

export default { render };
