// <canvas data-chart="#id">: a chart of the JSON in the element with that id, in the colours of the page.
// {"labels": […], "series": [{"name": "…", "values": […]}], "unit": "tokens", "stacked": true, "kind": "bar" or "line"}
// Pages that have one load Chart.js before; macros.html has a macro that makes all of it and the same as a table.

const shown = new Map();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const exact = new Intl.NumberFormat();
const days = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// A day as people say it; any other label as it is.
function spoken(label) {
  return /^\d{4}-\d{2}-\d{2}$/.test(label) ? days.format(new Date(label)) : label;
}

function colour(name) {
  const probe = document.createElement("span");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function dataset(series, at, kind) {
  const ink = colour(`series-${at % 8}`);
  return {
    label: series.name.length > 60 ? `${series.name.slice(0, 60)}…` : series.name,
    data: series.values,
    backgroundColor: ink,
    borderColor: ink,
    borderWidth: kind === "line" ? 2 : 0,
    borderRadius: 3,
    maxBarThickness: 28,
    pointRadius: kind === "line" ? 2 : 0,
    spanGaps: true,
    tension: 0.3,
  };
}

function draw(canvas) {
  const { labels, series, unit, stacked, kind } = JSON.parse(document.querySelector(canvas.dataset.chart).textContent);
  const ink = colour("chart-ink");
  const grid = colour("chart-grid");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const amount = (value) => `${exact.format(value)} ${unit}`.trim();
  return new Chart(canvas, {
    type: kind,
    data: { labels: labels.map(spoken), datasets: series.map((each, at) => dataset(each, at, kind)) },
    options: {
      animation: calm.matches ? false : { duration: 300 },
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { stacked, grid: { display: false }, ticks: { color: ink, maxRotation: 0, autoSkipPadding: 16 }, border: { color: grid } },
        y: { stacked, beginAtZero: true, grid: { color: grid }, border: { display: false }, ticks: { color: ink, maxTicksLimit: 6, callback: (value) => compact.format(value) } },
      },
      plugins: {
        legend: { display: series.length > 1, position: "bottom", labels: { color: ink, boxWidth: 10, boxHeight: 10, usePointStyle: true, pointStyle: "rectRounded" } },
        tooltip: {
          itemSort: (one, other) => other.raw - one.raw,
          filter: (item) => item.raw !== 0,
          callbacks: {
            label: (item) => ` ${item.dataset.label}: ${amount(item.raw)}`,
            footer: (items) => (stacked && items.length > 1 ? `Total: ${amount(items.reduce((sum, each) => sum + each.raw, 0))}` : ""),
          },
        },
      },
    },
  });
}

function redraw() {
  for (const [canvas, chart] of shown) {
    if (canvas.isConnected) continue;
    chart.destroy();
    shown.delete(canvas);
  }
  for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
    if (!shown.has(canvas)) shown.set(canvas, draw(canvas));
  }
}

redraw();
new MutationObserver(redraw).observe(document.querySelector("#main"), { childList: true, subtree: true });
new MutationObserver(() => {
  shown.forEach((chart) => chart.destroy());
  shown.clear();
  redraw();
}).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
