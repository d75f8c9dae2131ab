// Charts that can be read under the cursor. What the server has drawn stays below, and is what is
// seen without this; here the same lines are laid over it, clear, with a legend that follows.
"use strict";

(() => {
  const made = new Map();

  const span = (ms) => {
    if (ms < 1000) return `${Math.round(ms)} ms`;
    if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
    return ms < 3600000 ? `${Math.round(ms / 60000)} min` : `${Math.round(ms / 3600000)} h`;
  };
  const rate = (value) => (value >= 100 ? Math.round(value) : Number(value.toFixed(2))).toLocaleString("en");
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(5, 16).replace("T", " ");

  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    const under = plot.querySelector(":scope > svg");
    const lines = JSON.parse(figure.dataset.lines);
    const tell = figure.dataset.chart === "outcomes" ? rate : span;
    const own = document.createElement("div");
    own.className = "over";
    own.setAttribute("aria-hidden", "true");
    plot.append(own);
    const words = figure.querySelector("figcaption .say");
    const usual = words.textContent;
    const box = under.getBoundingClientRect();
    const chart = new uPlot({
      width: box.width,
      height: box.height,
      padding: [0, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      axes: [{ show: false }, { show: false }],
      scales: { x: { time: true }, y: { range: () => [0, 1] } },
      series: [{}, ...lines.names.map(() => ({ show: true, points: { show: false }, paths: () => null }))],
      hooks: {
        setCursor: [(one) => {
          const at = one.cursor.idx;
          if (at === null || at === undefined) { words.textContent = usual; return; }
          const told = lines.names.map((name, n) => {
            const value = lines.values[n][at];
            return `${name} ${value === null ? "\u2013" : tell(value)}`;
          });
          words.textContent = `${clock(lines.times[at])} UTC: ${told.join(", ")}`;
        }],
      },
    }, [lines.times, ...lines.values], own);
    const watch = new ResizeObserver(() => {
      const now = under.getBoundingClientRect();
      chart.setSize({ width: now.width, height: now.height });
    });
    watch.observe(under);
    return () => { watch.disconnect(); chart.destroy(); own.remove(); };
  };

  const drawAll = () => {
    for (const [figure, undo] of made) { undo(); made.delete(figure); }
    for (const figure of document.querySelectorAll("figure[data-lines]")) made.set(figure, draw(figure));
  };
  drawAll();
  document.addEventListener("htmx:after:swap", drawAll);
})();
