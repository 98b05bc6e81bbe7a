// Every table can be sorted by each of its columns, and copied as Markdown and as CSV.

function words(cell) {
  return cell.innerText === undefined ? cell.textContent : cell.innerText.replace(/\s+/g, " ").trim();
}

function contents(table) {
  if (table === matrix.table) { showAllRows(); }
  const shown = (row) => [...row.cells].filter((cell) => !cell.hidden).map((cell) => words(cell).replace(/ [\u25B2\u25BC]$/, ""));
  const head = table.tHead ? shown(table.tHead.rows[0]) : [];
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden).map(shown);
  return { head: head.length ? head : (rows[0] || []).map(() => ""), rows };
}

function asMarkdown(table) {
  const { head, rows } = contents(table);
  const clean = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/([\\`*|[\]])/g, "\\$1");
  const line = (cells) => "| " + cells.map(clean).join(" | ") + " |";
  return [line(head), "|" + head.map(() => "---|").join(""), ...rows.map(line)].join("\n") + "\n";
}

function asCsv(table) {
  const { head, rows } = contents(table);
  // A spreadsheet would take what begins with one of these for a formula.
  const harmless = (text) => (/^[=@\t\r]|^[-+](?![\d.])/.test(text) ? "'" + text : text);
  const quoted = (text) => (/[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);
  return [head, ...rows].map((cells) => cells.map((cell) => quoted(harmless(cell))).join(",")).join("\r\n") + "\r\n";
}

const LONG = 28;  // as in document.py

const UNITS = { us: 1e-6, ms: 1e-3, s: 1, "": 1 };

function sortKey(written) {
  const text = written.replace(/(\d),(?=\d{3}\b)/g, "$1");
  const found = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?: (us|ms|s)\b)?/i.exec(text);
  return found ? Number(found[1]) * UNITS[found[2] || ""] : text === "never" ? Infinity : NaN;
}

function compare(one, other) {
  const a = sortKey(one), b = sortKey(other);
  if (!Number.isNaN(a) && !Number.isNaN(b)) { return a - b; }
  if ((one === "") !== (other === "")) { return one === "" ? 1 : -1; }
  return one.localeCompare(other, "en", { numeric: true });
}

function sortTable(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const cell of table.tHead.rows[0].cells) { cell.removeAttribute("aria-sort"); }
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].map((row) => [words(row.cells[column]), row]);
    rows.sort(([a], [b]) => (a === "" || b === "" ? compare(a, b) : sign * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  }
  say("sorted by " + words(head) + ", " + direction);
}

function tools(table) {
  const what = table.caption ? table.caption.textContent : "table";
  const button = (name, make) => el("button", {
    type: "button", "aria-label": "Copy " + what + " as " + name, onclick: (event) => copy(make(table), name, event.currentTarget),
  }, name);
  return el("div", { class: "tools" }, el("span", { class: "absent", "aria-hidden": "true" }, "copy"),
    button("Markdown", asMarkdown), button("CSV", asCsv));
}

function equip(table) {
  if (table.tHead && !table.tHead.querySelector("button")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const name = cell.textContent.trim() ? null : "column " + (column + 1);
      const button = el("button", { type: "button", title: "Sort", "aria-label": name }, ...cell.childNodes);
      button.addEventListener("click", () => sortTable(table, column));
      cell.append(button);
    });
  }
  const box = table.closest(".table") || table.parentNode;
  if (!box.querySelector(".tools")) { box.prepend(tools(table)); }
}

function startTables(root) { root.querySelectorAll("table").forEach(equip); }

function makeTable(caption, heads, rows) {
  // A table of texts or nodes, in its box, with its buttons.
  const table = el("table", {}, el("caption", { class: "aside" }, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell, column) => {
      const long = typeof cell === "string" && cell.length > LONG ? el("span", { class: "long" }, cell) : cell;
      return column ? el("td", {}, long) : el("th", { scope: "row" }, long);
    })))));
  const box = el("div", { class: "table" }, el("div", { class: "wide" }, table));
  equip(table);
  startFitting(box);
  return box;
}
