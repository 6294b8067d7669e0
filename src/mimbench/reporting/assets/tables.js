// Sorting, copying and saving of tables, and the comparison of two configurations.
for (const table of all("table.sortable")) {
  for (const button of all(".sort", table)) button.addEventListener("click", () => sort(table, button.closest("th")));
}

function sort(table, head) {
  const down = head.getAttribute("aria-sort") !== "descending";
  all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.cells[head.cellIndex].dataset.sort ?? row.cells[head.cellIndex].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [Number(value(a)), Number(value(b))];
    if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === ""); // unknown last
    const order = Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
    return down ? -order : order;
  };
  const [body] = table.tBodies;
  body.append(...[...body.rows].sort(compare));
}

function showOnButton(button, text) {
  const before = button.textContent;
  button.textContent = text;
  setTimeout(() => (button.textContent = before), 1500);
}
// The visible rows in their order on the page.
function tableText(kind) {
  const { head, rows, tail } = DATA.tables[kind];
  const visible = all(".comparison tbody tr").filter((row) => !row.hidden).map((row) => Number(row.dataset.row));
  return head + visible.map((row) => (kind === "latex" ? latexRow(row, rows[row]) : rows[row])).join("") + tail;
}

function latexRow(row, cells) {
  const best = new Set(DATA.rankings.map(compareShown).filter(({ leader, ties }) => leader === row || ties.includes(row))
    .map(({ protocol }) => protocol).filter((protocol) => !DATA.conditions[row].below.includes(protocol)));
  return cells.map(([text, protocol]) => (best.has(protocol) ? `\\textbf{${text}}` : text)).join(" & ") + " \\\\\n";
}

for (const button of all("[data-copy]")) {
  button.addEventListener("click", async () => {
    const box = document.createElement("textarea");
    box.value = tableText(button.dataset.copy);
    document.body.append(box);
    box.select();
    // Some browsers offer no clipboard interface to a page that was opened from a file; execCommand works in all.
    showOnButton(button, document.execCommand("copy") ? "copied" : "not allowed here");
    box.remove();
  });
}
for (const button of all("[data-save]")) {
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([tableText(button.dataset.save)], { type: "text/csv" }));
    link.download = `table.${button.dataset.save}`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

const selects = all("#first, #second");
function compareConfigs() {
  const [first, second] = selects.map((select) => DATA.configs.runs[select.value]);
  const keys = distinct([...Object.keys(first), ...Object.keys(second)]).filter((key) => first[key] !== second[key]).sort();
  const body = document.querySelector("#differences tbody");
  body.replaceChildren(...keys.map((key) => {
    const row = document.createElement("tr");
    for (const text of [key, first[key] ?? "not set", second[key] ?? "not set"]) row.insertCell().textContent = text;
    row.cells[0].className = "stick";
    return row;
  }));
  const same = DATA.configs.common + Object.keys({ ...first, ...second }).length - keys.length;
  const text = keys.length ? `${keys.length} of ${keys.length + same} keys differ.` : "The configurations are equal.";
  document.getElementById("difference-count").textContent = text;
  document.getElementById("differences").hidden = !keys.length;
}
if (selects.length) {
  const names = Object.keys(DATA.configs.runs);
  for (const [index, select] of selects.entries()) {
    select.replaceChildren(...names.map((name) => new Option(name)));
    select.value = names[Math.min(index, names.length - 1)];
    select.addEventListener("change", compareConfigs);
  }
  compareConfigs();
}

setTheme(preferred());
