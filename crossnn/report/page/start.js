// What happens when the page opens, when its address changes, and when it is printed.

function follow() {
  const wanted = state();
  if (wanted.spec) { showEvidence(wanted); return; }
  showEvidence({});
  if (Object.keys(wanted).length && evidenceData) {
    if (filterAddress() !== address(narrowed(wanted))) {
      choose(wanted);
      bring(byId("matrix").closest("section"));
    }
    return;
  }
  const place = location.hash.length > 1 && byId(location.hash.slice(1));
  if (place) {
    for (let outer = place; outer; outer = outer.parentElement && outer.parentElement.closest("details")) {
      if (outer.tagName === "DETAILS") { outer.open = true; }
    }
    bring(place);
  }
}

function bring(place) {
  // Once more when what was unfolded has its height: only then it is known where the place is.
  place.scrollIntoView();
  requestAnimationFrame(() => requestAnimationFrame(() => place.scrollIntoView()));
}

function startFolds() {
  document.querySelectorAll(".fold").forEach((line) => {
    const parts = [...line.closest("section").querySelectorAll("details.part")];
    const set = (open) => parts.forEach((part) => { part.open = open; });
    line.append(el("button", { type: "button", onclick: () => set(true) }, "Open all " + parts.length), " ",
      el("button", { type: "button", onclick: () => set(false) }, "Close all"));
    line.hidden = false;
  });
  const opened = new Set();
  const root = document.documentElement.dataset;
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = root.theme;
    if (theme) { root.theme = "light"; }  // paper is
    if (matrix.table) { showAllRows(); }
  });
  window.addEventListener("afterprint", () => { if (theme) { root.theme = theme; } });
  window.addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach((one) => { opened.add(one); one.open = true; }));
  window.addEventListener("afterprint", () => { opened.forEach((one) => { one.open = false; }); opened.clear(); });
}

function startSections() {
  // Where the reader is, in the list of sections.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]));
  const sections = [...document.querySelectorAll("main section[id]")];
  let waiting = false;
  const look = () => {
    waiting = false;
    const here = sections.filter((section) => section.getBoundingClientRect().top < innerHeight / 3).pop();
    links.forEach((link, id) => {
      if (here && here.id === id) { link.setAttribute("aria-current", "true"); } else { link.removeAttribute("aria-current"); }
    });
  };
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(look); } }, { passive: true });
  look();
}

async function start() {
  startTheme();
  startTables(document);
  startFitting(document);
  startFolds();
  startSections();
  startEvidence();
  const packed = byId("data").textContent.trim();
  if (packed) {
    loadCells(await unpack(packed));
    startMatrix();
  }
  startSearch();
  window.addEventListener("popstate", follow);
  window.addEventListener("hashchange", follow);
  follow();
  document.documentElement.dataset.ready = "yes";
}

start();
