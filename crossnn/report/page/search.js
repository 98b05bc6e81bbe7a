// One box for everything: specifications, known differences, sections and their parts. Words are looked up, so that a
// whole question may be typed: what says nothing ("does", "the") is left out, and a framework has all of its names.

const EMPTY = new Set(("a an and are as at be by can do does for from how i in is it its me much not of on or so some than that the "
  + "there this to was what when where which who why will with s t").split(" "));
const NAMES = {
  keras: ["keras", "tensorflow"], tf: ["tensorflow", "tf"], tensorflow: ["tensorflow", "keras", "tf"], pytorch: ["torch", "pytorch"],
  optax: ["optax", "jax"], flax: ["flax", "jax"], fast: ["fast", "timing"], faster: ["faster", "timing"],
  fastest: ["fastest", "timing"], speed: ["speed", "timing"], time: ["time", "timing"], slow: ["slow", "timing"],
  equal: [], equals: [], same: [], differ: ["differ", "difference"], inaccurate: ["inaccurate", "accuracy"],
  accurate: ["accurate", "accuracy"], wrong: ["wrong", "failures", "differences"], trains: ["trains", "step"],
  train: ["train", "step"], framework: [], frameworks: [], version: ["version", "machine"],
};

const ALSO = {
  // What a section is asked for besides its name, by the first word of that.
  power: "planted plant mistake mutation mutant missed undetected undiscovered survive survived survivor",
  timing: "fast faster fastest speed slow slower slowest quick quicker quickest duration seconds",
  conventions: "convention default knob setting port",
  accuracy: "ulp digit accurate inaccurate imprecise precision nan overflow underflow infinity",
};
const SURE = 12;

function stem(word) { return word.length > 3 ? word.replace(/s$/, "") : word; }

function alsoOf(title) { return (ALSO[title.toLowerCase().split(" ")[0]] || "").split(" ").filter(Boolean).map(stem); }

function knobsOf(place) {
  // Names of settings in tables of conventions, and what they are set to.
  const found = place.textContent.matchAll(/\b([a-z]\w{2,})=(?:([a-z]\w{2,})\b)?/g);
  const plain = (word) => word && !["none", "true", "false"].includes(word);
  return [...found].flatMap(([, name, value]) => [name, value]).filter(plain).map(stem);
}

function queryWords(text) {
  return text.toLowerCase().replace(/['\u2019]s?\b/g, " ").split(/[^a-z0-9_.]+/).filter((word) => word && !EMPTY.has(word))
    .map((word) => NAMES[word] || [word]).filter((names) => names.length);
}

function searchIndex() {
  const index = [];
  const add = (name, more, kind, open, also = [], aside = "") => index.push({
    name, kind, open, more, also: new Set(also), key: name.toLowerCase(), text: [name, more, aside].join(" ").toLowerCase(),
  });
  if (evidenceData) {
    const { specs } = evidenceData;
    const differences = new Map();
    specs.forEach((spec, number) => {
      const calls = (spec.native ? spec.native.rows.map((row) => row[1]) : []).join(" ");
      add(spec.name, [spec.kind, calls].filter(Boolean).join(": "), "specification", () => go({ spec: spec.name }), [],
        spec.accuracy ? "accuracy" : "");
      for (const one of knownOf(number)) {
        const met = differences.get(one.known);
        if (met) { met.names.push(spec.name); } else { differences.set(one.known, { ...one, names: [spec.name] }); }
      }
    });
    for (const { known, backend, message, names } of differences.values()) {
      // One of several specifications leads to the rows of the matrix that it is met in.
      const wanted = names.length > 1 ? { find: known } : { spec: names[0], backend, known };
      add(known, names.slice(0, 6).join(", ") + (names.length > 6 ? " and " + (names.length - 6) + " more" : "") + ": " + message,
        "known difference", () => go(wanted), [], names.join(" "));
    }
  }
  document.querySelectorAll("main section[id], main details[id]").forEach((place) => {
    const title = place.querySelector("h1, h2, h3");
    if (!title) { return; }
    const section = place.tagName === "DETAILS" ? place.closest("section").querySelector("h2").textContent : "";
    const first = [...place.children].find((child) => child.tagName === "P");
    add(title.textContent, [section, first ? first.textContent.slice(0, 900) : ""].filter(Boolean).join(": "), section ? "part" : "section",
      () => goTo(place.id), section === "Conventions" ? knobsOf(place) : section ? [] : alsoOf(title.textContent), alsoOf(section).join(" "));
  });
  return index;
}

function goTo(id) {
  if (location.hash !== "#" + id) { history.pushState(null, "", "#" + id); }
  follow();
  const start = byId(id).querySelector("summary, h1, h2");  // from here the Tab key goes on
  if (start.tagName !== "SUMMARY") { start.tabIndex = -1; }
  start.focus({ preventScroll: true });
}

function snippet(entry, wanted) {
  // About 160 letters around the first word that was asked for.
  const text = entry.more, low = text.toLowerCase();
  const at = wanted.flat().map((word) => low.indexOf(word)).filter((place) => place >= 0).sort((a, b) => a - b)[0] || 0;
  const from = at < 80 ? 0 : low.lastIndexOf(" ", at - 70) + 1;
  return (from ? "\u2026 " : "") + text.slice(from, from + 160) + (from + 160 < text.length ? " \u2026" : "");
}

function plainly(text) { return text.toLowerCase().split(/[^a-z0-9]+/).filter(Boolean).join(" "); }

function score(entry, wanted, typed) {
  let total = typed.length > 2 && entry.key.includes(typed) ? 10 : 0;
  if (plainly(entry.key) === plainly(typed)) { total += 20; }
  for (const names of wanted) {
    let best = 0;
    for (const name of names) {
      if (names[0] !== name) { best = Math.max(best, entry.text.includes(name) ? 2 : 0); }  // another word for it
      else if (entry.key === name) { best = Math.max(best, 20); }
      else if (entry.also.has(stem(name))) { best = Math.max(best, SURE); }
      else if (entry.key.split(/[^a-z0-9]+/).includes(name)) { best = Math.max(best, 7); }
      else if (entry.key.startsWith(name)) { best = Math.max(best, 6); }
      else if (entry.key.includes(name)) { best = Math.max(best, 4); }
      else if (entry.text.includes(name)) { best = Math.max(best, 2); }
    }
    total += best ? best + 3 : 0;
  }
  return total && total + { specification: 2, "known difference": 0, section: 1, part: 1 }[entry.kind];
}

function find(index, text, most) {
  const wanted = queryWords(text);
  const typed = text.trim().toLowerCase();
  return index.map((entry) => [score(entry, wanted, typed), entry]).filter(([points]) => points)
    .sort(([a, one], [b, other]) => b - a || one.name.length - other.name.length).slice(0, most).map(([, entry]) => entry);
}

function startSearch() {
  const index = searchIndex();
  const list = el("ul", { id: "found", role: "listbox", "aria-label": "Found", hidden: true });
  const input = el("input", {
    type: "search", role: "combobox", "aria-expanded": "false", "aria-controls": "found", "aria-autocomplete": "list",
    "aria-label": "Search specifications, differences and sections", autocomplete: "off", spellcheck: "false",
    placeholder: "Search, or ask: does Keras' Adam equal PyTorch's?   ( / )",
  });
  let shown = [], at = -1;
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const choose = (number) => { const entry = shown[number]; if (entry) { close(); entry.open(); } };  // a dialog that closes comes back to the box
  const mark = (number) => {
    at = number;
    [...list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === at)));
    if (at >= 0) { input.setAttribute("aria-activedescendant", "found-" + at); list.children[at].scrollIntoView({ block: "nearest" }); }
  };
  const look = () => {
    shown = find(index, input.value, 12);
    list.replaceChildren(...shown.map((entry, number) => el("li", {
      id: "found-" + number, role: "option", "aria-selected": "false",
      onmousedown: (event) => { event.preventDefault(); choose(number); },
    }, el("strong", {}, entry.name), " ", el("small", {}, entry.kind + (entry.more ? ": " + snippet(entry, queryWords(input.value)) : "")))));
    if (!shown.length) { list.replaceChildren(el("li", { role: "option", "aria-disabled": "true" }, "Nothing found. Try a name, such as softmax.")); }
    list.hidden = !queryWords(input.value).length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    mark(shown.length ? 0 : -1);
  };
  input.addEventListener("input", look);
  input.addEventListener("focus", () => { if (input.value) { look(); } });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) { event.preventDefault(); mark((at + step + shown.length) % shown.length); }
    else if (event.key === "Enter") { event.preventDefault(); choose(at); }
    else if (event.key === "Escape") { input.value = ""; close(); }
  });
  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, select, textarea, dialog");
    if (event.key === "/" && !busy && !event.ctrlKey && !event.metaKey) { event.preventDefault(); input.focus(); }
  });
  const box = byId("search");
  box.setAttribute("role", "search");
  box.append(input, list);
  box.hidden = false;
}
