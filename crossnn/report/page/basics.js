"use strict";
// What everything else stands on. Text becomes text nodes only: nothing here makes HTML out of data.

function byId(id) { return document.getElementById(id); }

function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) { continue; }
    if (name.startsWith("on")) { made.addEventListener(name.slice(2), value); }
    else { made.setAttribute(name, value === true ? "" : value); }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function say(text) { byId("said").textContent = text; }

function state() {
  // What the address asks for: `#spec=adam&backend=torch` by name; nothing for `#timing`, which is a place.
  const hash = location.hash.slice(1);
  return hash.includes("=") ? Object.fromEntries(new URLSearchParams(hash)) : {};
}

function address(wanted) {
  const kept = Object.entries(wanted).filter(([, value]) => value);
  return "#" + new URLSearchParams(kept).toString();
}

function go(wanted) {
  if (evidenceData) { keepFilters(); }  // so that the way back leads to them
  history.pushState({ inside: true }, "", address(wanted));
  follow();
}

const THEMES = ["", "light", "dark"];

function startTheme() {
  const button = byId("theme");
  let chosen = "";
  try { chosen = localStorage.getItem("crossnn-theme") || ""; } catch { /* a page may be refused to remember */ }
  const show = () => {
    if (chosen) { document.documentElement.dataset.theme = chosen; } else { delete document.documentElement.dataset.theme; }
    button.replaceChildren(el("span", { class: "word" }, "Colours: "), { "": "system", light: "light", dark: "dark" }[chosen]);
  };
  if (!THEMES.includes(chosen)) { chosen = ""; }
  button.addEventListener("click", () => {
    chosen = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length];
    try { localStorage.setItem("crossnn-theme", chosen); } catch { /* then for this visit only */ }
    show();
  });
  button.hidden = false;
  show();
}

async function copy(text, what, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "aside" });
    area.value = text;
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(what + " copied");
  if (!button || button.dataset.says) { return; }
  button.dataset.says = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = button.dataset.says; delete button.dataset.says; }, 1500);
}
