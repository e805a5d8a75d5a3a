"use strict";
// Draws every figure.chart from the JSON inside it with uPlot; the colours are the style sheet's.
(() => {
  const root = document.documentElement;
  const superscript = (n) => String(n).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

  const plain = (v) => {
    const size = Math.abs(v);
    if (size >= 1e6) return +(v / 1e6).toPrecision(3) + "M";
    if (size >= 1e4) return +(v / 1e3).toPrecision(3) + "k";
    if (size !== 0 && size < 1e-3) return power(v);
    return String(+v.toPrecision(4));
  };
  const power = (v) => {
    const exponent = Math.floor(Math.log10(Math.abs(v)) + 1e-9);
    const mantissa = +(v / 10 ** exponent).toPrecision(2);
    return (mantissa === 1 ? "" : mantissa + "·") + "10" + superscript(exponent);
  };
  const exact = (v) => (v == null ? "" : Math.abs(v) >= 1e-3 && Math.abs(v) < 1e6 ? String(+v.toPrecision(4)) : power(v));

  // Ticks of a logarithmic axis: whole decades if there are enough of them, else 1, 2 and 5 of each. Written plainly where that is short.
  function logAxis(values) {
    const finite = values.filter((v) => v != null && v > 0);
    const low = Math.min(...finite), high = Math.max(...finite);
    const decades = Math.log10(high / low);
    const short = low >= 1e-3 && high < 1e5;
    return {
      splits: (u, axis, min, max) => {
        const ticks = [];
        const every = Math.max(1, Math.ceil(decades / 7));
        for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e++) {
          if (decades >= 2.5 && e % every) continue;
          for (const m of decades >= 2.5 ? [1] : decades >= 0.7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]) {
            const tick = m * 10 ** e;
            if (tick >= min * 0.9999 && tick <= max * 1.0001) ticks.push(tick);
          }
        }
        return ticks;
      },
      filter: (u, splits) => splits,
      values: (u, splits) => splits.map(short ? plain : power),
    };
  }

  function build(figure) {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const place = figure.querySelector(".plot");
    const outputs = figure.querySelectorAll(".legend output");
    const style = getComputedStyle(root);
    const color = (name) => style.getPropertyValue(name).trim();
    const font = `12px ${color("--sans")}`;
    const tables = [], series = [{}], bands = [], readings = [];
    const joined = data.series.map((s) => [s.x, s.y, s.top ?? s.smooth ?? s.y, ...(s.low ? [s.low, s.high] : [])]);
    tables.push(...joined);
    let column = 1;
    let below = -1;
    data.series.forEach((s) => {
      const stroke = color(s.color === "reference" ? "--ink" : "--" + s.color);
      const few = s.x.length <= 40;
      const line = { stroke, width: 2, spanGaps: false, dash: s.dashed ? [6, 4] : undefined, points: { show: few && s.x.length < 24 && !s.dashed && !data.stacked, size: 5, fill: stroke } };
      const hidden = { stroke: "transparent", width: 0, points: { show: false } };
      const faint = { stroke: stroke + "50", width: 1, points: { show: false } };
      readings.push(column);
      if (data.stacked) {
        series.push({ ...hidden, show: false, scale: "none" });
        series.push({ ...line, width: 1.25, fill: below < 0 ? stroke + "66" : undefined, points: { show: false } });
        if (below > 0) bands.push({ series: [column + 1, below], fill: stroke + "66" });
        below = column + 1;
      } else {
        series.push(s.smooth ? faint : { ...hidden, show: false, scale: "none" });
        series.push(line);
      }
      if (s.low) {
        series.push(hidden, hidden);
        bands.push({ series: [column + 3, column + 2], fill: stroke + "2e" });
      }
      column += s.low ? 4 : 2;
    });

    const all = (pick) => data.series.flatMap(pick);
    const axis = { stroke: color("--muted"), font, grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, gap: 6 };
    const numbers = { values: (u, splits) => splits.map(plain) };
    const xs = all((s) => s.x);
    const place0 = place.getBoundingClientRect();
    const width = root.dataset.print === undefined ? place0.width : figure.closest(".row") ? 320 : 660;
    place.replaceChildren();
    const cursor = {
      drag: { x: false, y: false }, y: false,
      points: { size: 7, fill: (u, i) => u.series[i].stroke(u, i), show: true },
    };
    const chart = new uPlot({
      width: Math.max(200, width), height: place0.height || 268, padding: [8, 20, 0, 0], series, bands, legend: { show: false }, cursor,
      scales: {
        x: { time: false, distr: data.logX ? 3 : 1, range: [Math.min(...xs), Math.max(...xs)] },
        y: { distr: data.logY ? 3 : 1, range: data.logY ? logRange(all((s) => [...s.y, ...(s.low ?? []), ...(s.high ?? [])])) : data.stacked ? fromZero : undefined },
        none: {},
      },
      axes: [
        { ...axis, grid: { show: false }, ...(data.logX ? logAxis(xs) : numbers), space: 56, size: 28 },
        { ...axis, size: (u, values) => 14 + 7.2 * Math.max(3, ...(values ?? []).map((v) => String(v).length)), ...(data.logY ? logAxis(all((s) => s.y)) : numbers), space: 36 },
      ],
      hooks: { setCursor: [(u) => read(u)] },
    }, uPlot.join(tables), place);

    function read(u) {
      data.series.forEach((s, i) => {
        const at = u.cursor.idx;
        const values = u.data[readings[i]];
        // Series need not share their steps: take the nearest value to the left.
        let value = null;
        if (at != null) for (let k = at; k >= 0 && value == null; k--) value = values[k];
        outputs[i].textContent = exact(value);
      });
    }
    return chart;
  }

  // Areas are read by their height: zero belongs to the axis.
  function fromZero(u, min, max) {
    const low = Math.min(0, min ?? 0), high = Math.max(0, max ?? 0);
    return low === high ? [0, 1] : [low * 1.04, high * 1.04];
  }

  function logRange(values) {
    const finite = values.filter((v) => v != null && v > 0);
    const low = Math.min(...finite), high = Math.max(...finite);
    const room = (high / low) ** 0.05;
    return finite.length === 0 ? [0.1, 10] : low === high ? [low / 2, high * 2] : [low / room, high * room];
  }

  let figures = [];
  const charts = new Map();
  const draw = () => figures.forEach((figure) => {
    charts.get(figure)?.destroy();
    charts.set(figure, build(figure));
  });

  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const chart = charts.get(entry.target.closest("figure"));
      const { width, height } = entry.contentRect;
      if (root.dataset.print === undefined && width > 0 && Math.abs(chart.width - width) >= 1) chart.setSize({ width, height });
    }
  });
  // Also after a live page has replaced its content.
  const find = () => {
    charts.forEach((chart) => chart.destroy());
    charts.clear();
    resized.disconnect();
    figures = [...document.querySelectorAll("figure.chart")];
    draw();
    figures.forEach((figure) => resized.observe(figure.querySelector(".plot")));
  };
  find();
  document.addEventListener("content-replaced", find);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  // Paper is white: print in the light colours, at the paper's width, with everything open.
  let closed = [];
  addEventListener("beforeprint", () => {
    root.dataset.print = "";
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
    draw();
  });
  addEventListener("afterprint", () => {
    delete root.dataset.print;
    closed.forEach((details) => { details.open = false; });
    draw();
  });
})();
