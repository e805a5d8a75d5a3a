"use strict";
// figure.pictures: one sample large in every column, and the same place of it under every zoom.
(() => {
  const steps = [1, 2, 4, 8];

  // The view of a figure survives the replacement of a live page's content: by title, and by the name of its sample.
  const views = new Map();
  const nameOf = (caption) => caption.slice(caption.indexOf(":") + 1);

  const start = () => document.querySelectorAll("figure.pictures").forEach((figure) => {
    const columns = figure.querySelector(".columns");
    const lenses = [...figure.querySelectorAll(".lens")];
    const thumbs = [...figure.querySelectorAll(".thumbs button")];
    const caption = figure.querySelector(".sample");
    const captions = thumbs.filter((thumb) => thumb.dataset.caption).map((thumb) => thumb.dataset.caption);
    const state = { sample: 0, zoom: 1, x: 0.5, y: 0.5 };
    const title = figure.querySelector("figcaption").textContent;
    const keep = () => views.set(title, { ...state, name: state.sample === 0 ? null : nameOf(captions[state.sample]) });

    const clamp = (value) => Math.min(1, Math.max(0, value));
    function look(x, y) {
      state.x = clamp(x);
      state.y = clamp(y);
      columns.style.setProperty("--x", (100 * state.x).toFixed(2) + "%");
      columns.style.setProperty("--y", (100 * state.y).toFixed(2) + "%");
      keep();
    }
    function zoomTo(zoom) {
      state.zoom = Math.min(8, Math.max(1, zoom));
      columns.style.setProperty("--z", state.zoom);
      columns.classList.toggle("zoomed", state.zoom > 1);
      for (const button of figure.querySelectorAll("[data-zoom]")) button.setAttribute("aria-pressed", String(+button.dataset.zoom === state.zoom));
      keep();
    }
    function show(sample) {
      state.sample = (sample + captions.length) % captions.length;
      caption.textContent = captions[state.sample];
      lenses.forEach((lens) => {
        const thumb = lens.parentElement.querySelector(`[data-sample="${state.sample}"] img`);
        const large = lens.querySelector("img");
        large.src = thumb.src;
        large.alt = thumb.alt;
      });
      thumbs.forEach((thumb) => thumb.setAttribute("aria-pressed", String(+thumb.dataset.sample === state.sample)));
      keep();
    }
    const next = (by) => zoomTo(steps[Math.min(steps.length - 1, Math.max(0, steps.indexOf(state.zoom) + by))]);

    figure.querySelector("[data-do=previous]").addEventListener("click", () => show(state.sample - 1));
    figure.querySelector("[data-do=next]").addEventListener("click", () => show(state.sample + 1));
    for (const button of figure.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoomTo(+button.dataset.zoom));
    for (const thumb of thumbs) {
      const same = (on) => thumbs.forEach((other) => other.classList.toggle("same", on && other.dataset.sample === thumb.dataset.sample));
      thumb.addEventListener("click", () => show(+thumb.dataset.sample));
      thumb.addEventListener("pointerenter", () => same(true));
      thumb.addEventListener("pointerleave", () => same(false));
    }

    for (const lens of lenses) {
      let held = null;
      const spot = (event) => {
        const box = lens.getBoundingClientRect();
        return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      };
      lens.addEventListener("pointerdown", (event) => {
        held = { x: event.clientX, y: event.clientY, fromX: state.x, fromY: state.y, moved: false };
        if (event.pointerType !== "mouse" && state.zoom > 1) lens.setPointerCapture(event.pointerId);
      });
      lens.addEventListener("pointermove", (event) => {
        if (held && Math.hypot(event.clientX - held.x, event.clientY - held.y) > 6) held.moved = true;
        if (event.pointerType === "mouse") {
          if (state.zoom > 1) look(...spot(event));
        } else if (held && state.zoom > 1) {
          // Dragging by touch: at zoom z the picture extends over z - 1 additional widths.
          const box = lens.getBoundingClientRect();
          look(held.fromX - (event.clientX - held.x) / box.width / (state.zoom - 1), held.fromY - (event.clientY - held.y) / box.height / (state.zoom - 1));
        }
      });
      lens.addEventListener("pointercancel", () => { held = null; });
      lens.addEventListener("click", (event) => {
        const dragged = held?.moved;
        held = null;
        if (dragged) return;
        if (state.zoom > 1) zoomTo(1);
        else {
          look(...spot(event));
          zoomTo(4);
        }
      });
      lens.addEventListener("keydown", (event) => {
        const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
        const move = moves[event.key];
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === "+" || event.key === "=") next(1);
        else if (event.key === "-") next(-1);
        else if (event.key === "0") zoomTo(1);
        else if (event.key === "Enter" || event.key === " ") zoomTo(state.zoom > 1 ? 1 : 4);
        else if (move && state.zoom > 1) look(state.x + 0.08 * move[0], state.y + 0.08 * move[1]);
        else if (move) show(state.sample + (move[0] || move[1]));
        else return;
        event.preventDefault();
      });
    }
    const before = views.get(title);
    if (before) {
      show(Math.max(0, captions.findIndex((caption) => nameOf(caption) === before.name)));
      look(before.x, before.y);
      zoomTo(before.zoom);
    }
  });
  start();
  document.addEventListener("content-replaced", start);
})();
