// Sorting, copying and saving of the table, and the comparison of two configurations.
for (const [column, head] of all(".comparison thead th").entries()) {
  head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    all(".comparison thead th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = document.querySelector(".comparison tbody");
    const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [Number(value(a)), Number(value(b))];
      if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === ""); // unknown last
      const order = Number.isNaN(x) || Number.isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}

function showOnButton(button, text) {
  const before = button.textContent;
  button.textContent = text;
  setTimeout(() => (button.textContent = before), 1500);
}
for (const button of all("[data-copy]")) {
  button.addEventListener("click", async () => {
    const box = document.createElement("textarea");
    box.value = DATA.tables[button.dataset.copy];
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
    link.href = URL.createObjectURL(new Blob([DATA.tables[button.dataset.save]], { type: "text/csv" }));
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
