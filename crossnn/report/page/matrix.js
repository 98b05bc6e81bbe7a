// The matrix of verdicts: specification x backend and mode. Rows and cells are made once for each choice of dtype and
// device; filters then only hide. What fits a screen is shown at once, the rest of the rows in the moments after, so
// that typing stays quick.

let evidenceData = null;
const cells = [];          // {spec, implementation, head, dtype, device, seed, from, to, mask, rank, r, known}
const AT_ONCE = 40;
const matrix = { rows: [], waiting: [], choice: {}, selects: {}, widths: [] };

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function loadCells(data) {
  evidenceData = data;
  let from = 0;
  for (const [spec, implementation, head, dtype, device, seed, count] of data.cells) {
    const cell = { spec, implementation, head, dtype, device, seed, from, to: from + count };
    cells.push(Object.assign(cell, summary([cell])));
    from += count;
  }
}

function rankOf(name) { return evidenceData.verdicts.findIndex(([verdict]) => verdict === name); }

function summary(group) {
  // The worst verdict that judges something, the largest r among those, what is known there, and all verdicts as bits.
  const data = evidenceData, aside = [rankOf("KINK"), rankOf("NOT-RUN")];
  let mask = 0, rank = -1, r = null;
  const known = new Set();
  for (const cell of group) {
    for (let i = cell.from; i < cell.to; i += 1) {
      const verdict = data.verdict[i];
      mask |= 1 << verdict;
      if (data.known[i]) { known.add(data.texts[data.known[i]]); }
      if (aside.includes(verdict)) { continue; }
      if (rank < 0 || verdict < rank) { rank = verdict; r = null; }
      if (verdict === rank && data.r[i] !== null && (r === null || data.r[i] > r)) { r = data.r[i]; }
    }
  }
  if (rank < 0) { rank = aside.find((one) => mask & (1 << one)); }
  return { mask, rank, r, known };
}

function merged(group) {
  const found = { mask: 0, rank: -1, r: null, known: new Set() };
  const judges = (cell) => cell.rank !== rankOf("KINK") && cell.rank !== rankOf("NOT-RUN");
  const judged = group.filter(judges);
  for (const cell of group) {
    found.mask |= cell.mask;
    cell.known.forEach((id) => found.known.add(id));
  }
  for (const cell of judged.length ? judged : group) {
    if (found.rank < 0 || cell.rank < found.rank) { found.rank = cell.rank; found.r = cell.r; }
    else if (cell.rank === found.rank && cell.r !== null && (found.r === null || cell.r > found.r)) { found.r = cell.r; }
  }
  return found;
}

function shortNumber(value) {
  if (value === null) { return ""; }
  if (value >= 1e308) { return "unbounded"; }
  const size = Math.abs(value);
  return value === 0 ? "0" : size >= 1e5 || size < 1e-3 ? value.toExponential(1).replace("+", "") : String(Number(value.toPrecision(size >= 100 ? 3 : 2)));
}

function verdictWords(found) {
  const [name] = evidenceData.verdicts[found.rank];
  const beside = ["KINK", "NOT-RUN"].filter((one) => one !== name && found.mask & (1 << rankOf(one)));
  const r = found.r > 0 && found.r < 1e-3 ? "<0.001" : shortNumber(found.r);
  return [el("b", {}, name), " " + (name === "NOT-RUN" || name === "KINK" ? "" : r),
    beside.length ? el("small", {}, beside.map((one) => " +" + one).join("")) : ""];
}

function breakable(name) {
  // A long name may go on in the next line after an underscore.
  return name.split(/(?<=_)/).flatMap((piece, number) => (number ? [el("wbr"), piece] : [piece]));
}

function twoLines(name) {
  const at = name.indexOf(" ");
  return at < 0 ? [name] : [name.slice(0, at), el("br"), name.slice(at + 1)];
}

function headName(number) { return evidenceData.heads[number].join(" "); }

function knownOf(spec) {
  // The registered differences of a specification, each with the backend and the message of where it was met first.
  const found = new Map();
  for (const cell of cells) {
    if (cell.spec !== spec || !cell.known.size) { continue; }
    for (let i = cell.from; i < cell.to; i += 1) {
      const known = evidenceData.texts[evidenceData.known[i]];
      if (known && !found.has(known)) {
        found.set(known, { known, backend: evidenceData.heads[cell.head][0], message: evidenceData.texts[evidenceData.message[i]] });
      }
    }
  }
  return [...found.values()];
}

function causes() {
  // What the list of known differences says of each, by its id.
  const lines = [...document.querySelectorAll("#known-differences tbody tr")];
  return new Map(lines.map((line) => [line.cells[0].textContent.trim(), line.textContent]));
}

function messages(group) {
  // What is said where a known difference was met.
  const found = new Set();
  for (const cell of group.filter((one) => one.known.size)) {
    for (let i = cell.from; i < cell.to; i += 1) { if (evidenceData.known[i]) { found.add(evidenceData.message[i]); } }
  }
  return [...found].map((number) => evidenceData.texts[number]);
}

function makeRows() {
  const cause = causes();
  const data = evidenceData, { dtype, device } = matrix.choice;
  const groups = new Map();
  for (const cell of cells) {
    if ((dtype && data.dtypes[cell.dtype] !== dtype) || (device && data.devices[cell.device] !== device)) { continue; }
    const key = cell.spec + " " + cell.implementation;
    if (!groups.has(key)) { groups.set(key, { spec: cell.spec, implementation: cell.implementation, by: new Map() }); }
    const by = groups.get(key).by;
    by.set(cell.head, [...(by.get(cell.head) || []), cell]);
  }
  const notRun = 1 << rankOf("NOT-RUN");
  matrix.rows = [...groups.values()].map((row, number) => {
    const spec = data.specs[row.spec], implementation = data.implementations[row.implementation];
    row.found = new Map([...row.by].map(([head, group]) => [head, merged(group)]));
    row.ran = implementation === "formula" || [...row.found.values()].some((found) => found.mask !== notRun);
    const known = [...row.found.values()].flatMap((found) => [...found.known]);
    const calls = implementation === "native" && spec.native ? spec.native.rows.map((one) => one[1]) : [];
    row.text = [spec.name, spec.kind, implementation, ...[...new Set(known)].flatMap((id) => [id, cause.get(id) || ""]), ...calls,
      ...messages([...row.by.values()].flat())].join(" ").toLowerCase();
    row.number = number;
    row.kind = spec.kind;
    row.implementationName = implementation;
    row.name = spec.name;
    row.element = rowElement(row, spec, implementation);
    row.element.hidden = true;
    return row;
  });
  matrix.heads = "";
  matrix.body.replaceChildren(...matrix.rows.map((row) => row.element));
  setWidths();
  for (const cell of matrix.head.cells) { cell.removeAttribute("aria-sort"); }
  filterRows();
}

function link(wanted, ...children) {
  // To evidence: a link, so that it can be copied and opened elsewhere too.
  return el("a", { href: address(wanted), tabindex: "-1", onclick: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    event.preventDefault();
    go(wanted);
  } }, ...children);
}

function rowElement(row, spec, implementation) {
  const dtype = matrix.choice.dtype;
  const name = el("th", { scope: "row" }, link({ spec: spec.name, dtype }, ...breakable(spec.name)),
    ...(implementation === "formula" ? [] : [" ", el("small", {}, implementation)]));
  return el("tr", {}, name, ...evidenceData.heads.map(([backend, mode], head) => {
    const found = row.found.get(head);
    if (!found) { return el("td", {}); }
    const inside = link({ spec: spec.name, backend, mode, implementation, dtype }, ...verdictWords(found));
    if (found.known.size) { inside.title = [...found.known].join(", "); }
    return el("td", { class: evidenceData.verdicts[found.rank][1] }, inside);
  }));
}

function setWidths() {
  // Fixed widths, of the longest text in each column: else every key pressed would measure every cell. And the least
  // that a column can have: its longest word.
  const width = textWidth();
  const cellWidth = (cell) => {
    const small = cell.querySelector("small"), aside = small ? small.textContent : "";
    return width(cell.textContent.slice(0, cell.textContent.length - aside.length), "600 12px") + width(aside, "10px");
  };
  const wordWidth = (text) => Math.max(...text.split(/(?<=-)|\s+/).map((word) => width(word, "600 12px")));
  const widest = (measure, least) => evidenceData.heads.map((head, number) => Math.max(...head.map(least),
    ...matrix.rows.map((row) => (row.found.has(number) ? measure(row.element.cells[number + 1]) : 0))));
  const longest = widest(cellWidth, (word) => width(word + "  ", "600 12px"));
  matrix.least = widest((cell) => wordWidth(cell.textContent), wordWidth).map((pixels) => Math.ceil(pixels) + 12);
  matrix.columns.replaceChildren(el("col"), ...longest.map(() => el("col")));
  const most = width("EQUAL 0.00 ", "600 12px") + width("+KINK", "10px");  // what is longer, and rare, goes on in the next line
  matrix.widths = longest.map((pixels) => Math.ceil(Math.min(pixels, most)) + 12);
}

function squeeze() {
  // What is shown gets the widths that it asks for, or where the place is narrower less, but no less than its words need.
  const box = matrix.table.parentNode, shown = [...matrix.head.cells].slice(1).map((cell) => !cell.hidden);
  const sum = (widths) => widths.reduce((all, one, head) => all + (shown[head] ? one : 0), 0);
  const first = parseFloat(getComputedStyle(box).getPropertyValue("--first")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const within = (most) => matrix.widths.map((one, head) => Math.min(one, Math.max(most, matrix.least[head])));
  let most = Math.max(...matrix.widths);
  const least = Math.min(...matrix.least);
  while (most > least && sum(within(most)) > box.clientWidth - first) { most -= 1; }
  const widths = within(most);
  [...matrix.columns.children].forEach((column, place) => { column.style.width = place ? widths[place - 1] + "px" : ""; });
  matrix.table.style.width = "calc(var(--first) + " + sum(widths) + "px)";
}

function textWidth() {
  // Measures texts of the matrix, each once.
  const pen = document.createElement("canvas").getContext("2d"), known = new Map();
  const family = getComputedStyle(document.body).fontFamily;
  return (text, font) => {
    const key = font + text;
    if (!known.has(key)) { pen.font = font + " " + family; known.set(key, pen.measureText(text).width); }
    return known.get(key);
  };
}

function narrowed(wanted) {
  return Object.fromEntries(Object.keys(matrix.selects).map((name) => [name, wanted[name] || ""]));
}

function filterAddress() {
  const found = address(narrowed(matrix.choice));
  return found === "#" ? "" : found;
}

function keepFilters() {
  // In the address, so that what is shown can be sent to someone; a place elsewhere on the page gives way to a filter.
  clearTimeout(matrix.keeping);
  const found = filterAddress();
  if (state().spec || found === location.hash || (!found && !location.hash.includes("="))) { return; }
  history.replaceState(history.state, "", location.pathname + location.search + found);
}

function filtered() {
  filterRows();
  clearTimeout(matrix.keeping);
  matrix.keeping = setTimeout(keepFilters, 250);
}

function filterRows() {
  const { find: text, kind, verdict, backend, mode, implementation } = matrix.choice;
  const wanted = (text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const asked = evidenceData.heads.map(([one, other]) => (!backend || one === backend) && (!mode || other === mode));
  // Our formula and the framework's own stay together.
  const named = new Set(matrix.rows.filter((row) => wanted.every((word) => row.text.includes(word))).map((row) => row.spec));
  const filled = asked.map(() => false);
  const bit = verdict ? 1 << rankOf(verdict) : 0;
  const wantedRows = [];
  for (const row of matrix.rows) {
    const shown = (row.ran || verdict === "NOT-RUN") && (!kind || row.kind === kind)
      && (!implementation || row.implementationName === implementation) && named.has(row.spec)
      && [...row.found].some(([head, found]) => asked[head] && (!bit || found.mask & bit));
    if (shown) {
      wantedRows.push(row.element);
      for (const head of row.found.keys()) { filled[head] = true; }
    } else if (!row.element.hidden) { row.element.hidden = true; }
  }
  showRows(wantedRows);
  matrix.box.hidden = !wantedRows.length;
  matrix.nothing.hidden = wantedRows.length > 0;
  const heads = asked.map((one, head) => one && (filled[head] || !wantedRows.length));
  const key = heads.join();
  if (key !== matrix.heads) {
    matrix.heads = key;
    const hide = (line) => heads.forEach((shown, head) => {
      const cell = line.cells[head + 1];
      if (cell.hidden === shown) { cell.hidden = !shown; }
    });
    hide(matrix.head);
    squeeze();
    [...matrix.columns.children].slice(1).forEach((column, head) => { column.hidden = !heads[head]; });
    matrix.rows.forEach((row) => hide(row.element));
  }
  matrix.count.textContent = wantedRows.length + " of " + matrix.rows.filter((row) => row.ran).length + " rows";
  reachable();
}

function showRows(elements) {
  elements.slice(0, AT_ONCE).forEach((one) => { if (one.hidden) { one.hidden = false; } });
  matrix.waiting = elements.slice(AT_ONCE).filter((one) => one.hidden);
  matrix.body.setAttribute("aria-busy", String(matrix.waiting.length > 0));
  clearTimeout(matrix.timer);
  if (matrix.waiting.length) { matrix.timer = setTimeout(() => showRows([...matrix.waiting]), 30); }
}

function showAllRows() {
  matrix.waiting.forEach((one) => { one.hidden = false; });
  showRows([]);
}

function reachable() {
  // One link of the matrix is reached by Tab, the others by arrows.
  const table = matrix.body;
  const now = table.querySelector("a[tabindex='0']");
  if (now && !now.closest("tr").hidden && !now.closest("td, th").hidden) { return; }
  if (now) { now.tabIndex = -1; }
  const first = table.querySelector("tr:not([hidden]) th a");
  if (first) { first.tabIndex = 0; }
}

function moveBy(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -99], End: [0, 99] };
  const step = steps[event.key], cell = event.target.closest("td, th");
  if (!step || !cell) { return; }
  event.preventDefault();
  let row = cell.parentNode, next = null;
  if (step[0]) {
    const forward = step[0] > 0 ? "nextElementSibling" : "previousElementSibling";
    for (row = row[forward]; row && !next; row = row[forward]) {
      next = row.hidden ? null : row.cells[cell.cellIndex].querySelector("a");
    }
  } else {
    const links = [...row.querySelectorAll("a")].filter((one) => !one.closest("td, th").hidden);
    next = links[Math.max(0, Math.min(links.length - 1, links.indexOf(event.target.closest("a")) + step[1]))];
  }
  if (next) {
    event.target.closest("a").tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

function sortRows(column) {
  const head = matrix.head.cells[column];
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const cell of matrix.head.cells) { cell.removeAttribute("aria-sort"); }
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...matrix.rows].sort((one, other) => one.number - other.number);
  if (!column) { rows.sort((one, other) => sign * (one.name.localeCompare(other.name) || one.implementation - other.implementation)); }
  else {
    // The worst first, and the larger r of two that are alike; empty cells stay last.
    const place = (row) => { const found = row.found.get(column - 1); return found ? [found.rank, -(found.r || 0)] : null; };
    rows.sort((one, other) => {
      const a = place(one), b = place(other);
      return !a || !b ? !a - !b : sign * (a[0] - b[0] || a[1] - b[1]);
    });
  }
  matrix.rows = rows;
  matrix.body.append(...rows.map((row) => row.element));
  say("sorted by " + words(head) + ", " + direction);
}

function select(name, label, values) {
  const box = el("select", { name }, el("option", { value: "" }, "all"), ...values.map((value) => el("option", { value }, value)));
  box.addEventListener("change", () => {
    matrix.choice[name] = box.value;
    if (name === "dtype" || name === "device") { makeRows(); }
    filtered();
  });
  matrix.selects[name] = box;
  return values.length > 1 ? el("label", {}, label, box) : "";
}

function choose(wanted) {
  // Filters that an address or a link asks for.
  const rebuilt = ["dtype", "device"].some((name) => (wanted[name] || "") !== (matrix.choice[name] || ""));
  matrix.choice = {};
  for (const [name, box] of Object.entries(matrix.selects)) {
    box.value = wanted[name] || "";
    if (box.value !== (wanted[name] || "")) { box.value = ""; }
    matrix.choice[name] = box.value;
  }
  if (rebuilt) { makeRows(); } else { filterRows(); }
}

function startMatrix() {
  const data = evidenceData, box = byId("matrix");
  const values = (list) => [...new Set(list)].filter(Boolean);
  const input = el("input", { type: "search", name: "find", placeholder: "name, kind, call or difference", autocomplete: "off" });
  input.addEventListener("input", () => { matrix.choice.find = input.value; filtered(); });
  matrix.selects.find = input;
  const unfilter = () => { choose({}); keepFilters(); input.focus(); };
  const clear = el("button", { type: "button", onclick: unfilter }, "Clear");
  const filters = el("div", { class: "filters", role: "group", "aria-label": "Filters of the matrix" },
    el("label", {}, "Show rows with", input), select("kind", "Kind", values(data.specs.map((spec) => spec.kind))),
    select("verdict", "Verdict", data.verdicts.map(([name]) => name).filter((name) => cells.some((cell) => cell.mask & (1 << rankOf(name))))),
    select("backend", "Backend", values(data.heads.map(([backend]) => backend))),
    select("mode", "Mode", values(data.heads.map(([, mode]) => mode))), select("dtype", "Dtype", data.dtypes),
    select("implementation", "Implementation", data.implementations), select("device", "Device", data.devices), clear);
  matrix.head = el("tr", {}, ...["specification", ...data.heads.map((head) => head.join(" "))].map((name, column) =>
    el("th", { scope: "col" }, el("button", { type: "button", title: "Sort", onclick: () => sortRows(column) }, ...twoLines(name)))));
  matrix.body = el("tbody", { onkeydown: moveBy });
  matrix.count = el("p", { class: "count", role: "status" });
  matrix.columns = el("colgroup");
  const table = el("table", {}, el("caption", { class: "aside" }, "Verdicts by specification, backend and mode"),
    matrix.columns, el("thead", {}, matrix.head), matrix.body);
  matrix.table = table;
  matrix.box = el("div", { class: "table verdicts" }, tools(table), el("div", { class: "wide" }, table));
  matrix.nothing = el("p", { class: "nothing", hidden: true }, "No row matches. ", el("button", { type: "button", onclick: unfilter }, "Clear"));
  box.append(filters, matrix.count, matrix.box, matrix.nothing,
    el("p", { class: "note" }, "A name or a cell opens its evidence: click it, or move with the arrow keys and press Enter. "
      + "The number beside a verdict is the largest r."));
  box.hidden = false;
  makeRows();
  new ResizeObserver(squeeze).observe(matrix.table.parentNode);
}
