// The evidence behind verdicts: one specification, narrowed to a backend, mode, dtype or implementation where one was
// chosen. It stands in the address, so that it can be sent to someone.

const MOST_LINES = 150;
const NARROWING = ["backend", "mode", "dtype", "implementation", "device", "known"];

function showEvidence(wanted) {
  const dialog = byId("evidence"), data = evidenceData;
  const number = data ? data.specs.findIndex((spec) => spec.name === wanted.spec) : -1;
  if (number < 0) {
    if (wanted.spec) { showNothing(dialog, wanted.spec); } else if (dialog.open) { dialog.close(); }
    return;
  }
  const spec = data.specs[number];
  const every = cells.filter((cell) => cell.spec === number);
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const where = NARROWING.map((name) => wanted[name]).filter(Boolean).join(" ");
  const known = knownOf(number);
  dialog.replaceChildren(
    el("div", { class: "bar" }, el("h2", { id: "evidence-title" }, spec.name, " ", el("small", { class: "absent" }, spec.kind + (where ? ", " + where : ""))), close),
    el("div", { class: "inside" },
      ...(spec.says || []).map((line) => el("p", { class: "says" }, line)),
      spec.chosen ? el("pre", {}, spec.chosen) : "",
      spec.formula ? el(spec.chosen ? "details" : "div", {}, spec.chosen ? el("summary", {}, "The formula with all of its settings") : "",
        el("pre", {}, spec.formula)) : "",
      spec.source ? el("p", { class: "note" }, "Source: " + spec.source) : "",
      ...part("The frameworks' own implementations", spec.native && makeTable("Own implementations of " + spec.name, spec.native.heads, spec.native.rows)),
      ...part("Known differences", known.length && makeTable("Known differences of " + spec.name, ["id", "framework", "cause and reference"],
        known.map((one) => [one.known, one.backend, one.message]))),
      ...part("Conventions", spec.conventions && makeTable("Conventions of " + spec.name,
        ["framework", "concept", "call", "answer", "measured", "where it matters", "relative difference"], spec.conventions)),
      ...part("Accuracy over a dense grid", spec.accuracy && makeTable("Accuracy of " + spec.name,
        ["dtype", "quantity", "framework", "call", "mode", "setting", "largest error, in float spacings", "at", "besides"], spec.accuracy)),
      ...part("Verdicts", chips(every, wanted, spec)),
      ...part("Evidence", quantities(every, wanted, spec)),
      ...part("Again", el("pre", {}, commands(spec, wanted))),
      ...part("Elsewhere on this page", mentions(spec))));
  if (!dialog.open) { dialog.showModal(); }
  dialog.scrollTop = 0;
}

function showNothing(dialog, name) {
  dialog.replaceChildren(
    el("div", { class: "bar" }, el("h2", { id: "evidence-title" }, "No such specification: " + name),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    el("div", { class: "inside" }, el("p", {}, "This run has none of that name. The matrix lists all that it has; the box at the top finds them.")));
  if (!dialog.open) { dialog.showModal(); }
  say("no such specification: " + name);
}

function part(title, content) { return content ? [el("h3", {}, title), content] : []; }

function fits(cell, wanted) {
  const data = evidenceData, [backend, mode] = data.heads[cell.head];
  const is = { backend, mode, dtype: data.dtypes[cell.dtype], implementation: data.implementations[cell.implementation], device: data.devices[cell.device] };
  return Object.entries(is).every(([name, value]) => !wanted[name] || wanted[name] === value);
}

function chips(every, wanted, spec) {
  // The row of the matrix, with a line for each implementation and dtype: a click narrows, a second click widens.
  const data = evidenceData;
  const heads = [...new Set(every.map((cell) => cell.head))].sort((a, b) => a - b);
  const lines = new Map();
  for (const cell of every) {
    const key = cell.implementation + " " + cell.dtype + " " + cell.device;
    lines.set(key, [...(lines.get(key) || []), cell]);
  }
  const rows = [...lines.values()].map((group) => {
    const { implementation, dtype, device } = group[0];
    const name = { implementation: data.implementations[implementation], dtype: data.dtypes[dtype], device: data.devices.length > 1 ? data.devices[device] : "" };
    return el("tr", {}, el("th", { scope: "row" }, Object.values(name).filter(Boolean).join(", ")), ...heads.map((head) => {
      const here = group.filter((cell) => cell.head === head);
      if (!here.length) { return el("td", {}); }
      const [backend, mode] = data.heads[head], found = merged(here);
      const chosen = { spec: spec.name, backend, mode, ...name };
      const pressed = wanted.backend && fits(here[0], wanted) && wanted.dtype && wanted.implementation;
      return el("td", { class: data.verdicts[found.rank][1] }, el("button", {
        type: "button", "aria-pressed": String(Boolean(pressed)),
        onclick: () => { history.replaceState(history.state, "", address(pressed ? { spec: spec.name } : chosen)); follow(); },
      }, ...verdictWords(found)));
    }));
  });
  const table = el("table", {}, el("caption", { class: "aside" }, "Verdicts of " + spec.name),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "implementation, dtype"), ...heads.map((head) => el("th", { scope: "col" }, headName(head))))), el("tbody", {}, ...rows));
  const box = el("div", { class: "table chips" }, el("div", { class: "wide" }, table));
  startFitting(box);
  return box;
}

function quantities(every, wanted, spec) {
  const data = evidenceData, found = [];
  const text = (name, i) => data.texts[data[name][i]];
  for (const cell of every.filter((one) => fits(one, wanted))) {
    for (let i = cell.from; i < cell.to; i += 1) {
      if (!wanted.known || text("known", i) === wanted.known) { found.push([cell, i]); }
    }
  }
  found.sort(([, a], [, b]) => data.verdict[a] - data.verdict[b] || (data.r[b] || 0) - (data.r[a] || 0));
  const line = ([cell, i]) => [
    el("span", { class: data.verdicts[data.verdict[i]][1] }, data.verdicts[data.verdict[i]][0]), text("quantity", i), text("case", i),
    headName(cell.head) + (data.devices.length > 1 ? " " + data.devices[cell.device] : ""), data.dtypes[cell.dtype],
    data.implementations[cell.implementation] + (cell.seed ? ", seed " + cell.seed : ""), shortNumber(data.r[i]), data.digits[i] === null ? "" : String(data.digits[i]),
    data.index[i] || text("expected", i) ? "[" + text("index", i) + "]" : "", text("expected", i), text("actual", i), text("call", i),
    [text("known", i), text("message", i)].filter(Boolean).join(": "),
  ];
  const heads = ["verdict", "quantity", "setting", "backend", "dtype", "implementation", "r", "digits", "worst at", "expected", "actual", "own call", "remarks"];
  const box = el("div", {});
  const fill = (most) => {
    const more = found.length - most;
    box.replaceChildren(
      el("p", { class: "note" }, found.length + " judged quantities, the worst first. r: error in units of unavoidable rounding, 64 is the limit of EQUAL; digits: decimal digits that agree at the worst element."),
      makeTable("Evidence for " + spec.name, heads, found.slice(0, most).map(line)),
      more > 0 ? el("button", { type: "button", onclick: () => fill(found.length) }, "Show " + more + " more") : "");
  };
  fill(MOST_LINES);
  return box;
}

function commands(spec, wanted) {
  const shell = (value) => (/^[\w.:=,@%+/-]+$/.test(value) ? value : "'" + value.replace(/'/g, "'\\''") + "'");
  const option = (name) => (wanted[name] && wanted[name] !== "oracle" ? " --" + name + " " + shell(wanted[name]) : "");
  const where = wanted.backend === "oracle" ? "" : ["backend", "mode", "dtype"].map(option).join("");
  if (spec.trained) { return "crossnn run " + shell(spec.name) + where; }
  const shown = wanted.backend && wanted.backend !== "oracle" ? option("backend") : "";
  return "crossnn check " + shell(spec.name) + where + (where ? option("implementation") : "") + "\ncrossnn show " + shell(spec.name) + shown;
}

function mentions(spec) {
  const named = new RegExp("(^|[^\\w-])" + spec.name.replace(/[^\w]/g, "\\$&") + "($|[^\\w-])");
  const links = [...document.querySelectorAll("main details[id]")].filter((place) => named.test(place.querySelector("summary").textContent))
    .slice(0, 12).map((place) => el("li", {}, el("a", { href: "#" + place.id, onclick: () => { byId("evidence").dataset.leaving = "yes"; } },
      place.closest("section").querySelector("h2").textContent + ": " + place.querySelector("summary").textContent.trim())));
  return links.length ? el("ul", {}, ...links) : null;
}

function startEvidence() {
  const dialog = byId("evidence");
  dialog.addEventListener("click", (event) => { if (event.target === dialog) { dialog.close(); } });
  dialog.addEventListener("close", () => {
    const leaving = dialog.dataset.leaving;
    delete dialog.dataset.leaving;
    if (leaving || !state().spec) { return; }
    if (history.state && history.state.inside) { history.back(); }
    else { history.replaceState(null, "", location.pathname + location.search + (evidenceData ? filterAddress() : "")); }
  });
}
