// Tables that are wider than their place. First their cells break into lines, then they stand closer; where that is not
// enough, as on a telephone, each row becomes a list of what its cells say, headed by the columns' names. The matrix of
// verdicts has a rule of its own, as it is a map that is read along both edges.

const LEVELS = ["tight", "tighter", "stacked"];
const NARROW = 640;
const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };

const fitting = new ResizeObserver((seen) => fit(seen.map((one) => one.target)));

function fit(boxes) {
  // All of them at once: the page is laid out once for each level, not for each table.
  let open = boxes.filter((box) => box.querySelector("table") && box.clientWidth && box.dataset.width !== String(box.clientWidth));
  open.forEach((box) => { box.dataset.width = box.clientWidth; setLevel(box, ""); });
  for (const level of LEVELS) {
    open = open.filter((box) => box.scrollWidth > box.clientWidth);
    open.forEach((box) => setLevel(box, level === "tighter" && box.clientWidth < NARROW ? "stacked" : level));
  }
  boxes.forEach(scrollable);
}

function setLevel(box, level) {
  if (box.classList.contains("stacked") !== (level === "stacked")) { setRoles(box.querySelector("table"), level === "stacked"); }
  box.classList.remove(...LEVELS);
  if (level) { box.classList.add(level); keepNumbers(box); }
}

const WHOLE = /[-+]?[\d.,]+e[-+]?\d+|[\d.,]*\d (?:us|ms|s|%|of \d+)(?![\w])/g;

function keepNumbers(box) {
  // A number is not torn from its exponent or its unit.
  if (box.dataset.kept) { return; }
  box.dataset.kept = "yes";
  const texts = document.createTreeWalker(box, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) { if (texts.currentNode.data.match(WHOLE)) { found.push(texts.currentNode); } }
  for (const text of found) {
    const pieces = [];
    let from = 0;
    for (const one of text.data.matchAll(WHOLE)) {
      pieces.push(text.data.slice(from, one.index), el("span", { class: "whole" }, one[0]));
      from = one.index + one[0].length;
    }
    text.replaceWith(...pieces, text.data.slice(from));
  }
}

function setRoles(table, stacked) {
  // What is no longer laid out as a table is still read aloud as one.
  const heads = table.tHead ? [...table.tHead.rows[0].cells].map((cell) => words(cell).replace(/ [\u25B2\u25BC]$/, "")) : [];
  for (const part of [table, table.tHead, ...table.tBodies, ...table.rows].filter(Boolean)) {
    if (stacked) { part.setAttribute("role", ROLES[part.tagName]); } else { part.removeAttribute("role"); }
  }
  for (const row of table.rows) {
    [...row.cells].forEach((cell, column) => {
      const role = cell.tagName === "TD" ? "cell" : cell.scope === "col" ? "columnheader" : "rowheader";
      if (stacked) { cell.setAttribute("role", role); cell.dataset.head = heads[column] || ""; } else { cell.removeAttribute("role"); }
    });
  }
}

function scrollable(box) {
  // What still is wider can be reached by keys, and says what it is.
  const over = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
  box.classList.toggle("over", over);
  if (!over) { ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name)); return; }
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  const caption = (box.closest("figure") || box).querySelector("caption, figcaption");
  if (caption) { box.setAttribute("aria-label", caption.textContent.slice(0, 120)); }
}

function startFitting(root) {
  root.querySelectorAll(".wide").forEach((box) => { if (!box.closest(".verdicts")) { fitting.observe(box); } });
}
