// One zoom for both pictures: wheel, pinch, drag, double click, keyboard. State is the same for both views, so the same parts are seen.
const MAX = 16;

export class SharedZoom {
  constructor(views, changed) {
    this.views = views;
    this.changed = changed;
    this.pointers = new Map();
    this.reset();
    for (const view of views) this.#listen(view);
    addEventListener("resize", () => this.reset());
  }

  reset() {
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.#show();
  }

  /** Zooms by a factor; what lies under (px, py) of a view stays there. */
  by(factor, px = this.#width() / 2, py = this.#height() / 2) {
    const scale = Math.min(MAX, Math.max(1, this.scale * factor));
    const ratio = scale / this.scale;
    this.x = px - (px - this.x) * ratio;
    this.y = py - (py - this.y) * ratio;
    this.scale = scale;
    this.#show();
  }

  /** Moves both pictures, in fractions of a view. */
  move(dx, dy) {
    this.x += dx * this.#width();
    this.y += dy * this.#height();
    this.#show();
  }

  #width() {
    return this.views[0].clientWidth || 1;
  }

  #height() {
    return this.views[0].clientHeight || 1;
  }

  #show() {
    const clamp = (value, size) => Math.min(0, Math.max(size * (1 - this.scale), value));
    this.x = clamp(this.x, this.#width());
    this.y = clamp(this.y, this.#height());
    for (const view of this.views) {
      view.querySelector("img").style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      view.classList.toggle("zoomed", this.scale > 1);
    }
    this.changed?.(this.scale);
  }

  #listen(view) {
    const at = (event) => {
      const box = view.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.by(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), ...at(event));
    }, { passive: false });
    view.addEventListener("dblclick", (event) => (this.scale > 1 ? this.reset() : this.by(3, ...at(event))));
    view.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      view.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      view.classList.add("moving");
    });
    view.addEventListener("pointermove", (event) => this.#drag(event.pointerId, at(event)));
    for (const end of ["pointerup", "pointercancel"]) {
      view.addEventListener(end, (event) => {
        this.pointers.delete(event.pointerId);
        view.classList.remove("moving");
      });
    }
  }

  #drag(id, now) {
    const before = this.pointers.get(id);
    if (!before) return;
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (other) {
      const distance = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
      this.by(distance(now, other) / distance(before, other), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      this.x += (now[0] - before[0]) / 2;
      this.y += (now[1] - before[1]) / 2;
    } else {
      this.x += now[0] - before[0];
      this.y += now[1] - before[1];
    }
    this.pointers.set(id, now);
    this.#show();
  }
}
