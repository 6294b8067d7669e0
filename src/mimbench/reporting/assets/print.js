// On paper: the light theme, every panel, drawn at the width of the paper, and tables scaled to it.
let beforePrinting = null;

function prepare() {
  if (beforePrinting) return;
  beforePrinting = { theme: root.dataset.theme, expanded: [...expanded] };
  root.dataset.printing = "true"; // style.css gives the page the width of the paper
  for (const section of sections) expanded.add(section.id);
  setTheme("light");
  all(".plot").forEach(draw);
  for (const box of all(".scroll")) {
    const table = box.querySelector("table");
    table.style.zoom = Math.min(1, box.clientWidth / table.scrollWidth);
  }
}

function restore() {
  if (!beforePrinting) return;
  delete root.dataset.printing;
  all(".scroll table").forEach((table) => table.style.removeProperty("zoom"));
  expanded.clear();
  beforePrinting.expanded.forEach((id) => expanded.add(id));
  setTheme(beforePrinting.theme);
  beforePrinting = null;
}

window.addEventListener("beforeprint", prepare);
window.addEventListener("afterprint", restore);
