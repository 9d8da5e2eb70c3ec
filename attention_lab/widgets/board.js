// The progress board in JupyterLab's right side bar.

// Click the cross on this board's tab: JupyterLab offers no other way from inside of a widget.
function close(el) {
  const panel = el.closest(".jupyterlab-sidecar");
  const cross = panel && document.querySelector(`.lm-TabBar-tab[data-id="${panel.id}"] .lm-TabBar-tabCloseIcon`);
  if (!cross) return;
  const { x: clientX, y: clientY } = cross.getBoundingClientRect();
  for (const type of ["pointerdown", "pointerup"]) {
    cross.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: clientX + 2, clientY: clientY + 2 }));
  }
}

function render({ model, el }) {
  el.classList.add("progress-board");
  const draw = () => {
    const unfolded = el.querySelector("details")?.open;
    el.innerHTML = model.get("page");
    if (unfolded) el.querySelector("details")?.setAttribute("open", "");
  };
  model.on("change:page", draw);
  // A restarted kernel opens a board of its own: this one has nothing more to say.
  model.on("comm_live_update", () => close(el));
  draw();
}

export default { render };
