// Draws panels when they scroll into view, and again when filters or theme change.
const FIRST = 12; // panels of a figure shown before "show all"
const expanded = new Set(); // figures that show all panels
// Without a pointer that can hover, as on a phone, the buttons would always cover the data.
const BUTTONS = matchMedia("(hover: hover)").matches ? "hover" : false;
// These buttons only: the library has others that send the data to its vendor.
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: BUTTONS, plotlyServerURL: "",
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg" } };

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "300px" });

function axis(settings) {
  const title = settings.title ? { title: { text: settings.title, font: { size: 12 }, standoff: 6 } } : {};
  return { gridcolor: css("--line"), zeroline: false, linecolor: css("--line"), automargin: true, ...settings, ...title };
}

// The plotting library stays text until the first panel is drawn, so that the page opens faster.
function loadLibrary() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.head.append(script);
}

function draw(plot) {
  if (!plot.panel) return;
  loadLibrary();
  const { traces, layout } = plot.panel;
  plot.panel = null;
  Plotly.react(plot, traces, {
    ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis), showlegend: false, hovermode: "closest",
    margin: { l: 48, r: 10, t: 8, b: 40 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--text") }, hoverlabel: { font: { size: 12 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--text") },
  }, CONFIG);
  plot.dataset.drawn = "true";
}

// The text alternative of a panel: its title, and each line's value or its two ends.
function describe({ title, traces, layout }) {
  const numbers = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : value);
  const across = layout.yaxis?.type === "category"; // values lie on the horizontal axis
  const parts = traces.filter((trace) => trace.name && trace.hoverinfo !== "skip").map((trace) => {
    const [values, places, bars] = across ? [trace.x, trace.y, trace.error_x] : [trace.y, trace.x, trace.error_y];
    const at = (i) => `${numbers(values[i])}${across ? "" : ` at ${numbers(places[i])}`}`;
    if (values.length > 1) return `${trace.name} from ${at(0)} to ${at(values.length - 1)}`;
    const spread = bars?.array?.[0] ? ` (${numbers(values[0] - bars.arrayminus[0])} to ${numbers(values[0] + bars.array[0])})` : "";
    return `${trace.name} ${at(0)}${spread}`;
  });
  for (const { text } of layout.annotations || []) parts.push(`dashed line: ${text}`);
  return `${title}. ${parts.join("; ")}.`;
}

function render(section) {
  const panels = FIGURES[section.id]();
  const grid = section.querySelector(".panels");
  const count = expanded.has(section.id) ? panels.length : Math.min(FIRST, panels.length);
  while (grid.children.length > count) {
    const last = grid.lastElementChild.querySelector(".plot");
    watcher.unobserve(last);
    if (window.Plotly) Plotly.purge(last);
    grid.lastElementChild.remove();
  }
  panels.slice(0, count).forEach((panel, index) => {
    if (index >= grid.children.length) {
      const added = document.createElement("div");
      added.className = "panel";
      added.innerHTML = '<h3></h3><div class="plot" role="img"></div>';
      grid.append(added);
    }
    const element = grid.children[index];
    element.querySelector("h3").textContent = panel.title;
    const plot = element.querySelector(".plot");
    plot.panel = panel;
    plot.setAttribute("aria-label", describe(panel));
    watcher.unobserve(plot);
    watcher.observe(plot);
  });
  grid.style.setProperty("--columns", Math.min(COLUMNS[section.id](), Math.max(2, count)));
  const more = section.querySelector(".more");
  more.hidden = panels.length <= count;
  more.textContent = `show all ${panels.length} panels`;
  section.hidden = panels.length === 0 && !filtered();
}

const sections = all("section.figure");
listeners.push(() => sections.forEach(render));
for (const section of sections) {
  section.querySelector(".more").addEventListener("click", () => {
    expanded.add(section.id);
    render(section);
  });
}

const symbols = document.querySelector("#cost .symbols");
if (symbols && DEPTHS.length > 1) {
  symbols.hidden = false;
  symbols.textContent = DEPTHS.map((depth, index) => `${MARKS[index % MARKS.length]} depth ${depth}`).join("   ");
}

function chooseCost(name) {
  cost = name;
  all("#costs button").forEach((button) => button.setAttribute("aria-pressed", String(button.value === name)));
  render(document.getElementById("cost"));
}
for (const button of all("#costs button")) {
  button.hidden = !DATA.conditions.some((condition) => condition.costs[button.value] > 0);
  button.setAttribute("aria-pressed", String(button.value === cost));
  button.addEventListener("click", () => chooseCost(button.value));
}
