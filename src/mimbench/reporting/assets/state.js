// State of the page: embedded data, theme and filters. Other scripts add listeners for changes.
const DATA = JSON.parse(document.getElementById("payload").textContent);
const listeners = [];
const changed = () => listeners.forEach((listener) => listener());
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const groupBy = (items, key) => items.reduce((groups, item) => groups.set(key(item), [...(groups.get(key(item)) || []), item]), new Map());
const setting = (item) => `${item.data} · ${item.encoder} · depth ${item.depth}`;
const distinct = (values) => [...new Set(values)];
const root = document.documentElement;

const dark = () => root.dataset.theme === "dark";
const color = (label) => (DATA.colors[label] || ["#7f7f7f", "#a6adb5"])[dark() ? 1 : 0];
const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();

const colorDots = () => all("[data-color]").forEach((dot) => dot.style.setProperty("--own", color(dot.dataset.color)));

function setTheme(name) {
  root.dataset.theme = name;
  colorDots();
  changed();
}

const preference = window.matchMedia("(prefers-color-scheme: dark)");
const preferred = () => (preference.matches ? "dark" : "light");
preference.addEventListener("change", () => setTheme(preferred()));
document.getElementById("theme").addEventListener("click", () => setTheme(dark() ? "light" : "dark"));

// The axes with filters, each with the value of an item. An axis without a fieldset has one value only and hides nothing.
const AXES = { method: (item) => item.label, depth: (item) => String(item.depth), data: (item) => item.data };
const hiddenValues = (axis) => new Set(all(`#filters [data-axis="${axis}"] input:not(:checked)`).map((box) => box.value));

let hidden = {}; // values by axis
const shown = (item) => Object.entries(AXES).every(([axis, value]) => !hidden[axis]?.has(value(item)));
const filtered = () => Object.values(hidden).some((values) => values.size > 0);

function filter() {
  hidden = Object.fromEntries(Object.keys(AXES).map((axis) => [axis, hiddenValues(axis)]));
  for (const element of all("main [data-data], main [data-method]")) {
    element.hidden = Object.entries(hidden).some(([axis, values]) => values.has(element.dataset[axis]));
  }
  writeAnswer();
  colorDots();
  for (const group of all(".group")) group.hidden = all("[data-method]", group).every((strip) => strip.hidden);
  const reset = document.getElementById("reset");
  if (reset) reset.hidden = !filtered();
  changed();
}

all("#filters input").forEach((box) => box.addEventListener("change", filter));
document.getElementById("reset")?.addEventListener("click", () => {
  all("#filters input").forEach((box) => (box.checked = true));
  filter();
});
