// Functions that turn the visible data of each figure into panels {title, traces, layout}.
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "cross", "star", "x"];
const MARKS = ["●", "■", "▲", "◆", "✚", "★", "✖"];
const DEPTHS = distinct(DATA.conditions.filter((c) => Object.keys(c.estimates).length).map((c) => c.depth)).sort((a, b) => a - b);
const symbol = (depth) => SYMBOLS[DEPTHS.indexOf(depth) % SYMBOLS.length];
const hollow = (name, [, , , , overImages]) => (overImages ? `${name}-open` : name); // says nothing about other seeds
const translucent = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
const errors = (points) => ({
  type: "data", symmetric: false, thickness: 1.3, width: 3,
  array: points.map(([mean, , high]) => (high === null ? 0 : high - mean)),
  arrayminus: points.map(([mean, low]) => (low === null ? 0 : mean - low)),
});

let cost = Object.keys(DATA.costs).find((name) => DATA.conditions.some((c) => c.costs[name] > 0)) || "flops";

// The points for which no point at the same or a lower cost has an equal or higher value, by ascending cost.
function pareto(points) {
  const front = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || b.y - a.y)) {
    if (!front.length || point.y > front[front.length - 1].y) front.push(point);
  }
  return front;
}

function costPanels() {
  const panels = [];
  for (const [heading, conditions] of groupBy(DATA.conditions.filter(shown), (c) => (several("encoder") ? `${c.data} · ${c.encoder}` : c.data))) {
    for (const [protocol, title] of Object.entries(DATA.protocols)) {
      const measured = conditions.filter((c) => c.estimates[protocol]);
      const trained = measured.filter((c) => c.costs[cost] > 0);
      if (!trained.length) continue;
      const traces = trained.map((c) => ({
        x: [c.costs[cost]], y: [c.estimates[protocol][0]], error_y: errors([c.estimates[protocol]]), mode: "markers",
        marker: { color: color(c.label), size: 10, symbol: hollow(symbol(c.depth), c.estimates[protocol]) }, name: c.label,
        hovertemplate: `<b>${c.label}</b>, ${c.encoder}, depth ${c.depth}<br>%{y:.1f} % at %{x:.3g}<extra></extra>`,
      }));
      const front = pareto(traces.map((trace) => ({ x: trace.x[0], y: trace.y[0] })));
      traces.unshift({
        x: front.map((p) => p.x), y: front.map((p) => p.y), mode: "lines", name: "Pareto front", hoverinfo: "skip",
        line: { color: css("--dim"), width: 1.2, shape: "hv", dash: "dot" },
      });
      const untrained = measured.filter((c) => !c.trained);
      const shapes = untrained.map((c) => ({
        type: "line", xref: "paper", x0: 0, x1: 1, y0: c.estimates[protocol][0], y1: c.estimates[protocol][0],
        line: { color: color(c.label), width: 1, dash: "dash" },
      }));
      const notes = untrained.map((c, index) => note(`${c.label}, depth ${c.depth}`, c.estimates[protocol][0], index % 2));
      panels.push({ title: `${heading}: ${title}`, traces, layout: {
        shapes, annotations: notes, xaxis: { type: "log", title: DATA.costs[cost], tickangle: 0, ...ticks(traces.slice(1).map((trace) => trace.x[0])) }, yaxis: { title: `${title} (%)` },
      } });
    }
  }
  return panels;
}

// Ticks at 1, 2 and 5 of each decade; over more than two decades at 1 only.
function ticks(values) {
  const [least, most] = [Math.min(...values) / 1.5, Math.max(...values) * 1.5];
  const found = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++) {
    for (const digit of most / least > 100 ? [1] : [1, 2, 5]) {
      const value = Number(`${digit}e${power}`);
      if (value >= least && value <= most) found.push(value);
    }
  }
  const text = (value) => (value >= 1e5 ? value.toExponential(0).replace("e+", "e") : String(value));
  return { tickvals: found, ticktext: found.map(text), range: [Math.log10(least), Math.log10(most)] };
}

const note = (text, y, right) => ({
  text, xref: "paper", x: right, y, xanchor: right ? "right" : "left", yanchor: "bottom", showarrow: false, font: { size: 11, color: css("--dim") },
});

// The setting without what all conditions share, because the first panels are narrow.
const several = (axis) => distinct(DATA.conditions.map((c) => c[axis])).length > 1;
const shortSetting = (c) => [c.data, several("encoder") && c.encoder, several("depth") && `depth ${c.depth}`].filter(Boolean).join(" · ");

function accuracyPanels() {
  const panels = [];
  for (const [heading, conditions] of groupBy(DATA.conditions.filter(shown), shortSetting)) {
    for (const [protocol, title] of Object.entries(DATA.protocols)) {
      const measured = conditions.filter((c) => c.estimates[protocol]);
      if (!measured.length) continue;
      const traces = measured.map((c) => ({
        x: [c.estimates[protocol][0]], y: [c.label], error_x: errors([c.estimates[protocol]]), mode: "markers",
        marker: { color: color(c.label), size: 9, symbol: hollow("circle", c.estimates[protocol]) }, name: c.label,
        hovertemplate: `<b>${c.label}</b><br>%{x:.1f} %<extra></extra>`,
      }));
      const shapes = measured.filter((c) => !c.trained).map((c) => ({
        type: "line", yref: "paper", y0: 0, y1: 1, x0: c.estimates[protocol][0], x1: c.estimates[protocol][0],
        line: { color: color(c.label), width: 1, dash: "dash" },
      }));
      panels.push({ title: `${heading}: ${title}`, traces, layout: {
        shapes, xaxis: { title: `${title} (%)` }, yaxis: { type: "category", autorange: "reversed" },
      } });
    }
  }
  return panels;
}

function depthPanels() {
  const panels = [];
  for (const [heading, conditions] of groupBy(DATA.conditions.filter(shown), (c) => `${c.data} · ${c.encoder}`)) {
    for (const [protocol, title] of Object.entries(DATA.protocols)) {
      const measured = conditions.filter((c) => c.estimates[protocol]);
      if (distinct(measured.map((c) => c.depth)).length < 2) continue;
      const traces = [...groupBy(measured, (c) => c.label)].map(([label, line]) => ({
        x: line.map((c) => String(c.depth)), y: line.map((c) => c.estimates[protocol][0]),
        error_y: errors(line.map((c) => c.estimates[protocol])), mode: "lines+markers", name: label,
        line: { color: color(label), width: 2 }, marker: { size: 7, symbol: line.map((c) => hollow("circle", c.estimates[protocol])) },
        hovertemplate: `<b>${label}</b>, depth %{x}<br>%{y:.1f} %<extra></extra>`,
      }));
      const depths = distinct(measured.map((c) => c.depth)).sort((a, b) => a - b).map(String);
      panels.push({ title: `${heading}: ${title}`, traces, layout: {
        xaxis: { type: "category", title: "encoder depth (blocks)", categoryarray: depths }, yaxis: { title: `${title} (%)` },
      } });
    }
  }
  return panels;
}

function layerwisePanels() {
  const panels = [];
  for (const [heading, lines] of groupBy(DATA.layerwise.filter(shown), setting)) {
    for (const [quantity, { title, percent }] of Object.entries(DATA.quantities)) {
      const traces = lines.filter((line) => line.quantity === quantity).flatMap((line) => band(line));
      if (traces.length) panels.push({ title: `${heading}: ${title}`, traces, layout: {
        xaxis: { title: "features at depth (0: patch embedding)" }, yaxis: { title: percent ? `${title} (%)` : title },
      } });
    }
  }
  return panels;
}

function band(line) {
  const known = line.x.map((_, i) => i).filter((i) => line.low[i] !== null && line.high[i] !== null);
  const edge = { mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
  return [
    { ...edge, x: known.map((i) => line.x[i]), y: known.map((i) => line.low[i]) },
    { ...edge, x: known.map((i) => line.x[i]), y: known.map((i) => line.high[i]), fill: "tonexty", fillcolor: translucent(color(line.label), 0.14) },
    { x: line.x, y: line.y, mode: "lines+markers", name: line.label, line: { color: color(line.label), width: 2 }, marker: { size: 5 },
      hovertemplate: `<b>${line.label}</b>, depth %{x}<br>%{y:.4g}<extra></extra>` },
  ];
}

function curvePanels(metrics, title, key) {
  const curves = DATA.curves.filter((curve) => shown(curve) && metrics.includes(curve.metric));
  return [...groupBy(curves, key)].map(([heading, own]) => ({
    title: heading,
    traces: own.map((curve) => ({
      x: curve.x, y: curve.y, mode: curve.x.length > 1 ? "lines" : "markers", name: curve.label,
      line: { color: color(curve.label), width: curve.metric === "val/loss" ? 2.4 : 1, dash: curve.finished ? "solid" : "dot" },
      opacity: curve.metric === "train/loss" ? 0.7 : 1,
      hovertemplate: `<b>${curve.label}</b>, seed ${curve.seed}, ${curve.metric}<br>step %{x}: %{y:.4g}<extra></extra>`,
    })),
    layout: { xaxis: { title: "step" }, yaxis: { title, rangemode: metrics[0] === "throughput" ? "tozero" : "normal" } },
  }));
}

// Number of panels side by side on a wide screen: those of one setting if they fit.
const trainedLabels = () => distinct(DATA.curves.map((curve) => curve.label)).length;
const perRow = (count) => (count <= 4 ? Math.max(2, count) : count % 3 === 0 ? 3 : 4);
const COLUMNS = {
  accuracy: () => perRow(Object.keys(DATA.protocols).length),
  cost: () => perRow(Object.keys(DATA.protocols).length),
  depth: () => perRow(Object.keys(DATA.protocols).length),
  layerwise: () => perRow(Object.keys(DATA.quantities).length),
  loss: () => perRow(trainedLabels()),
  throughput: () => 3,
};

const FIGURES = {
  accuracy: accuracyPanels,
  cost: costPanels,
  depth: depthPanels,
  layerwise: layerwisePanels,
  loss: () => curvePanels(["train/loss", "val/loss"], "loss", (curve) => `${curve.label} · ${setting(curve)}`),
  throughput: () => curvePanels(["throughput"], "images per second", setting),
};
