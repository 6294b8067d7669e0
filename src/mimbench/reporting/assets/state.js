// What is shown: the embedded numbers, the theme, the filters. Others subscribe to changes.
const DATA = JSON.parse(document.getElementById("payload").textContent);
const listeners = [];
const changed = () => listeners.forEach((listener) => listener());
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const distinct = (values) => [...new Set(values)];
const root = document.documentElement;

const dark = () => root.dataset.theme === "dark";
const colour = (label) => (DATA.colours[label] || ["#7f7f7f", "#a6adb5"])[dark() ? 1 : 0];
const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();

function setTheme(name) {
  root.dataset.theme = name;
  all("[data-colour]").forEach((mark) => mark.style.setProperty("--own", colour(mark.dataset.colour)));
  changed();
}

const preference = window.matchMedia("(prefers-color-scheme: dark)");
const preferred = () => (preference.matches ? "dark" : "light");
preference.addEventListener("change", () => setTheme(preferred()));
document.getElementById("theme").addEventListener("click", () => setTheme(dark() ? "light" : "dark"));

// An axis without a fieldset has one value only and hides nothing.
function hiddenValues(axis) {
  return new Set(all(`#filters [data-axis="${axis}"] input:not(:checked)`).map((box) => box.value));
}

let hidden = { method: new Set(), depth: new Set(), data: new Set() };
const shown = (item) =>
  !hidden.method.has(item.label) && !hidden.depth.has(String(item.depth)) && !hidden.data.has(item.data);

function filter() {
  hidden = { method: hiddenValues("method"), depth: hiddenValues("depth"), data: hiddenValues("data") };
  for (const element of all("main [data-data], main [data-method]")) {
    element.hidden = Object.entries(hidden).some(([axis, values]) => values.has(element.dataset[axis]));
  }
  for (const card of all(".card")) card.hidden ||= all(".finding", card).every((finding) => finding.hidden);
  for (const group of all(".group")) group.hidden = all("[data-method]", group).every((strip) => strip.hidden);
  const reset = document.getElementById("reset");
  if (reset) reset.hidden = Object.values(hidden).every((values) => values.size === 0);
  changed();
}

all("#filters input").forEach((box) => box.addEventListener("change", filter));
document.getElementById("reset")?.addEventListener("click", () => {
  all("#filters input").forEach((box) => (box.checked = true));
  filter();
});
