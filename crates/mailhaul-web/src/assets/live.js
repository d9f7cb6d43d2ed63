// The pages are whole without this. With it they stay true: every two seconds the page is fetched anew, and what is
// marked `data-live` takes the place of what stood there. Nothing here builds HTML from text: what comes is parsed as a
// document in which no script runs, and its nodes are moved over; what a list holds is written as text.
"use strict";

const EVERY = 2000;
const prefix = document.querySelector('meta[name="prefix"]')?.content ?? "";
const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const picked = new Set();
let address = location.href;
let lostSince = null;
let asking = 0;

document.documentElement.classList.add("scripted");

// Times: in the zone of whoever looks, with universal time on hover.
function localise(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[data-ms]")) {
    const at = new Date(Number(time.dataset.ms));
    const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const day = at.toLocaleDateString([], { day: "numeric", month: "short", year: at.getFullYear() === new Date().getFullYear() ? undefined : "numeric" });
    time.textContent = at.toDateString() === today ? clock : `${day}, ${clock}`;
  }
}

function tell(lost) {
  const line = document.getElementById("line");
  if (!line) return;
  line.hidden = false;
  if (!lost) {
    lostSince = null;
    line.classList.remove("lost");
    if (line.textContent !== "live") line.textContent = "live";
  } else {
    lostSince ??= new Date();
    line.classList.add("lost");
    const since = lostSince.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const words = document.querySelector("[data-blind]") ? `nothing new since ${since}` : `no answer since ${since}`;
    if (line.textContent !== words) line.textContent = words;
  }
  document.getElementById("content")?.classList.toggle("stale", lost);
}

// What somebody is typing into, or has opened, is left alone.
function isBusy(part) {
  const here = document.activeElement;
  return part.contains(here) && here.matches("input:not([type=checkbox]), textarea, select");
}

function take(fresh) {
  localise(fresh);
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!other || isBusy(part)) continue;
    markPicked(other);
    if (part.innerHTML === other.innerHTML) continue;
    const here = document.activeElement;
    const name = part.contains(here) ? here.getAttribute("href") ?? here.value : null;
    const [left, top] = [part.scrollLeft, part.scrollTop];
    part.replaceChildren(...Array.from(other.childNodes, (node) => document.adoptNode(node)));
    [part.scrollLeft, part.scrollTop] = [left, top];
    markPicked(part);
    if (name !== null) {
      const again = Array.from(part.querySelectorAll("a, button, input")).find((one) => (one.getAttribute("href") ?? one.value) === name);
      again?.focus({ preventScroll: true });
    }
  }
}

async function look() {
  if (!document.querySelector("[data-live]")) return;
  const mine = ++asking;
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html", "X-Live": "1" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
    if (answer.redirected && new URL(answer.url).pathname.endsWith("/sign-in")) return location.assign(answer.url);
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (mine !== asking) return;
    take(new DOMParser().parseFromString(text, "text/html"));
    tell(document.querySelector("[data-blind]") !== null);
  } catch {
    if (mine === asking) tell(true);
  }
}

async function beat() {
  if (document.visibilityState === "visible") await look();
  setTimeout(beat, EVERY);
}

// Selecting accounts: what is ticked stays so when rows are drawn anew, or another page is shown.
function markPicked(root) {
  for (const box of root.querySelectorAll('input[name="account"]')) {
    box.checked = picked.has(box.value);
    box.closest("tr")?.classList.toggle("picked", box.checked);
  }
}

function countPicked() {
  const bar = document.getElementById("selection-bar");
  if (!bar) return;
  const all = bar.querySelector('input[name="all_fitting"]');
  bar.classList.toggle("on", picked.size > 0 || all.checked);
  bar.querySelector("[data-count]").textContent = `${picked.size} selected`;
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.name === "account") {
    box.checked ? picked.add(box.value) : picked.delete(box.value);
    box.closest("tr")?.classList.toggle("picked", box.checked);
  } else if (box.dataset?.all !== undefined) {
    for (const one of document.querySelectorAll('input[name="account"]')) {
      box.checked ? picked.add(one.value) : picked.delete(one.value);
    }
    markPicked(document);
  } else if (box.name !== "all_fitting") {
    return;
  }
  countPicked();
});

document.addEventListener("submit", (event) => {
  const all = event.target.elements?.all_fitting?.checked;
  const words = event.submitter?.dataset.confirm ?? (all ? event.submitter?.dataset.confirmAll : undefined);
  if (words && !window.confirm(words)) return event.preventDefault();
  if (event.target.id === "selection") {
    // Those that are ticked on other pages are meant as well.
    const shown = new Set(Array.from(document.querySelectorAll('input[name="account"]'), (box) => box.value));
    for (const name of picked) {
      if (shown.has(name)) continue;
      const field = document.createElement("input");
      [field.type, field.name, field.value] = ["hidden", "account", name];
      event.target.append(field);
    }
  }
});

// Searching, filtering, sorting and paging change the address and the table, and leave the rest where it is.
async function show(url) {
  address = url;
  history.replaceState(null, "", url);
  await look();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest(".chips a, .accounts thead a, .pages a, tr.none a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !link.pathname.includes("/waves/")) return;
  event.preventDefault();
  show(link.href).then(() => {
    const form = document.querySelector("[data-filter]");
    const asked = new URL(link.href).searchParams;
    for (const name of ["summary", "sort", "down"]) setField(form, name, asked.get(name) ?? "");
    if (form && !asked.get("q")) form.elements.q.value = "";
    const selection = document.getElementById("selection");
    for (const name of ["q", "summary", "state"]) setField(selection, name, asked.get(name) ?? "");
    setField(selection, "back", new URL(link.href).pathname.slice(prefix.length) + new URL(link.href).search);
  });
});

function setField(form, name, value) {
  if (!form) return;
  let field = form.elements[name];
  if (!field) {
    field = document.createElement("input");
    [field.type, field.name] = ["hidden", name];
    form.append(field);
  }
  field.value = value;
}

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-filter]");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => search(form), 180);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-filter]")) return;
  event.preventDefault();
  clearTimeout(typing);
  search(event.target);
});

function search(form) {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
  setField(document.getElementById("selection"), "q", form.elements.q.value);
  show(url.href);
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, textarea, select");
  if (event.key === "/" && !isTyping) {
    const field = document.getElementById("search");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  } else if (event.key === "Escape" && picked.size > 0 && !isTyping) {
    picked.clear();
    markPicked(document);
    countPicked();
  }
});

// A sign-in link carries its code behind the #, which no server is ever sent.
const signIn = document.querySelector("[data-sign-in]");
if (signIn && location.hash.length > 1) {
  signIn.elements.secret.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  signIn.requestSubmit();
}

if (document.querySelector("[data-signed-in]") && location.hash.length > 1) history.replaceState(null, "", location.pathname);

// Importing: the list goes up to be judged, and once more to be stored.
const importing = document.querySelector("[data-import]");
if (importing) {
  const drop = document.getElementById("drop");
  const judge = document.getElementById("judge");
  const store = document.getElementById("store");
  let list = null;

  const choose = (file) => {
    if (!file) return;
    list = file;
    document.getElementById("chosen").textContent = `${file.name}, ${Math.ceil(file.size / 1024)} KiB`;
    judge.disabled = false;
    store.disabled = true;
  };
  document.getElementById("file").addEventListener("change", (event) => choose(event.target.files[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    choose(event.dataTransfer.files[0]);
  });
  importing.addEventListener("change", (event) => {
    // What was judged is not what would be stored now.
    if (event.target.id !== "file") store.disabled = true;
  });
  importing.addEventListener("submit", (event) => {
    event.preventDefault();
    send(true);
  });
  store.addEventListener("click", () => send(false));

  async function send(dry) {
    judge.disabled = store.disabled = true;
    const url = new URL(`${prefix}/api/v1/import`, location.origin);
    for (const [name, value] of new FormData(importing)) if (typeof value === "string" && value) url.searchParams.set(name, value);
    if (dry) url.searchParams.set("dry_run", "true");
    try {
      const headers = { "Content-Type": "application/octet-stream", "X-CSRF-Token": csrf };
      const answer = await fetch(url, { method: "POST", headers, body: list });
      verdict(await answer.json(), answer.ok, dry);
      store.disabled = !(answer.ok && dry);
    } catch {
      verdict({ detail: "The server does not answer, or the file changed since it was chosen.", faults: [] }, false, dry);
    }
    judge.disabled = false;
  }
}

function verdict(told, good, dry) {
  const words = (id, text) => (document.getElementById(id).textContent = text);
  document.getElementById("verdict").hidden = false;
  const rows = document.querySelector("#verdict-rows tbody");
  const remarks = document.getElementById("verdict-remarks");
  rows.replaceChildren();
  remarks.replaceChildren();
  words("verdict-more", "");
  const cell = (row, text, name) => {
    const cell = row.insertCell();
    cell.textContent = text;
    if (name) cell.className = name;
  };
  const remark = (text) => remarks.append(Object.assign(document.createElement("li"), { textContent: text }));
  if (!good) {
    words("verdict-line", told.detail ?? "It did not work.");
    if (told.hint) remark(told.hint);
    for (const fault of told.faults ?? []) {
      const row = rows.insertRow();
      cell(row, fault.line ?? "", "n");
      for (let i = 0; i < 4; i++) cell(row, "");
      cell(row, fault.words, "v-fault");
    }
    return;
  }
  const sum = `${told.accounts} accounts: ${told.added} new, ${told.changed} changed, ${told.unchanged} unchanged`;
  words("verdict-line", dry ? `${sum}. Nothing is stored yet.` : `Stored. ${sum}; ${told.passwords} passwords sealed.`);
  for (const wave of told.new_waves) remark(dry ? `Wave ${wave} would be made.` : `Wave ${wave} was made.`);
  if (told.queued) remark(`${told.queued} first copies are queued: their wave is at work already.`);
  for (const text of told.remarks.slice(0, 50)) remark(text);
  for (const one of told.without_password.slice(0, 50)) remark(`${one.account} has no password for the ${one.side}, and its endpoint no administrator.`);
  for (const one of told.rows.slice(0, 2000)) {
    const row = rows.insertRow();
    cell(row, one.line, "n");
    cell(row, one.account);
    cell(row, `${one.source_user} at ${one.from}`);
    cell(row, `${one.target_user} at ${one.to}`);
    cell(row, one.wave);
    cell(row, one.verdict + (one.changes.length ? `: ${one.changes.join(", ")}` : ""), `v-${one.verdict}`);
  }
  if (told.rows.length > 2000) words("verdict-more", `and ${told.rows.length - 2000} more rows`);
}

localise(document);
countPicked();
if (document.querySelector("[data-live]")) {
  tell(document.querySelector("[data-blind]") !== null);
  setTimeout(beat, EVERY);
}
