// What templates and htmx cannot do: theme, keys, ages, toasts, ticks, and files that are dropped. No dependency.
(() => {
  "use strict";
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;

  const $ = (selector, from = document) => from.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];

  // Ages are counted here, so that a page that does not change is not sent again.
  const span = (seconds) => {
    const past = Math.abs(seconds);
    if (past < 60) return `${Math.floor(past)} s`;
    if (past < 3600) return `${Math.floor(past / 60)} min`;
    if (past < 172800) return `${Math.floor(past / 3600)} h`;
    return `${Math.floor(past / 86400)} d`;
  };
  const ages = () => {
    for (const time of all("time[data-ago], time[data-for]")) {
      const at = Date.parse(time.dateTime);
      if (Number.isNaN(at)) continue;
      const seconds = (Date.now() - at) / 1000;
      const text = "for" in time.dataset ? span(Math.max(seconds, 0)) : seconds < 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`;
      if (time.textContent !== text) time.textContent = text;
      time.title = new Date(at).toLocaleString();
    }
  };

  // The page's inside, as it changes. Nobody looks at a page that is hidden, and a browser has six connections for all pages
  // of one place: one that is not seen gives its own back.
  const live = () => {
    const inside = $("#inside");
    if (!inside?.dataset.live) return;
    // When the page was as it is shown, when the server was last heard of, and what it says keeps the page from being renewed.
    let seen = Date.now(), heard = Date.now(), fault = "";
    const tell = () => {
      const fresh = $("[data-fresh]");
      if (!fresh) return;
      const past = Math.max(0, Math.floor((Date.now() - seen) / 1000));
      const silent = Date.now() - heard > 6000;
      const stale = silent || Boolean(fault) || past > 12;
      const why = silent ? "the server is silent" : fault;
      const age = past < 2 ? "updated just now" : `updated ${span(past)} ago`;
      const text = stale ? `stale${why ? `: ${why}` : ""}, ${age}` : age;
      if (fresh.textContent !== text) fresh.textContent = text;
      fresh.classList.toggle("stale", stale);
    };
    let source;
    const close = () => { source?.close(); source = undefined; };
    const open = () => {
      if (source || document.hidden) return;
      source = new EventSource(inside.dataset.live);
      source.onmessage = ({ data }) => {
        Idiomorph.morph(inside, data, { morphStyle: "innerHTML" });
        htmx.process(inside);
        ages();
        seen = heard = Date.now();
        tell();
      };
      source.addEventListener("beat", ({ data }) => {
        const beat = JSON.parse(data);
        heard = Date.now();
        seen = Math.max(seen, heard - beat.age);
        fault = beat.fault ?? "";
        tell();
      });
      source.onerror = () => {
        // Refused for good: the session has ended, or nobody can say who asks. Loading the page again says which.
        if (source?.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
      };
    };
    setInterval(tell, 1000);
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    addEventListener("pageshow", open);
    open();
  };

  let fading;
  const say = (text, bad) => {
    const said = $("#said");
    if (!said || !text) return;
    said.textContent = text;
    said.className = bad ? "shown bad" : "shown";
    clearTimeout(fading);
    fading = setTimeout(() => (said.className = ""), bad ? 9000 : 4000);
  };

  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, select, textarea, dialog")) return;
    if (event.key === "g") { going = Date.now(); return; }
    const place = Date.now() - going < 1500 && /^\w$/.test(event.key) && $(`nav a[data-key="${event.key}"]`);
    if (place) { location.href = place.href; return; }
    if (event.key === "/") { const field = $("[data-search]") ?? $(".filter input, .filter select"); if (field) { event.preventDefault(); field.focus(); } }
    if (event.key === "?") $("#keys-help")?.showModal();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      const dark = getComputedStyle(root).colorScheme.includes("dark");
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    }
    const menu = event.target.closest("[data-menu]");
    if (menu) menu.setAttribute("aria-expanded", String(document.body.classList.toggle("menu-open")));
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.submit();
    if (event.target.matches("[data-all]")) for (const pick of all("[data-pick]")) pick.checked = event.target.checked;
    if (event.target.matches("[data-file]") && event.target.files[0]) send(event.target.files[0]);
  });

  // A file that is dropped on a form goes to where the form says (data-drop), with the form's fields and its name as the query.
  // The answer is the last part of the address of its page. A file on its way survives the page's being rendered again: what
  // moves is found anew each time.
  const send = (file) => {
    const form = $("[data-drop]");
    const to = form.dataset.drop;
    const query = new URLSearchParams([...new FormData(form).entries(), ["filename", file.name]]);
    const request = new XMLHttpRequest();
    const bar = () => $("[data-sending]");
    request.open("POST", `${to}?${query}`);
    const token = document.body.dataset.csrf;
    if (token) request.setRequestHeader("X-CSRF-Token", token);
    request.upload.onprogress = (event) => { const it = bar(); if (it) { it.classList.remove("hidden"); it.value = (100 * event.loaded) / event.total; } };
    const over = () => bar()?.classList.add("hidden");
    request.onload = () => {
      over();
      if (request.status < 300) location.href = `${to}/${request.responseText}`;
      else say(request.responseText, true);
    };
    request.onerror = () => { over(); say("The connection broke: nothing of the file was kept. Send it again.", true); };
    request.send(file);
    say(`${file.name} is being sent`);
  };
  document.addEventListener("dragover", (event) => { if ($("[data-drop]")) { event.preventDefault(); document.body.classList.add("dragging"); } });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dragging");
    const file = event.dataTransfer?.files[0];
    if (file && $("[data-drop]")) { event.preventDefault(); send(file); }
  });

  document.addEventListener("DOMContentLoaded", () => {
    ages();
    setInterval(ages, 1000);
    // What somebody has ticked, typed or is sending stays as it is when the page is rendered again.
    if (window.Idiomorph) {
      const kept = new Set(["checked", "value", "class", "open"]);
      Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
        !(kept.has(name) && node.matches?.("[data-pick], [data-all], [data-sending], form input, form select, form textarea, details"));
      Idiomorph.defaults.callbacks.beforeNodeMorphed = (from) => !from.matches?.("[data-drop]");
    }
    live();
    const body = document.body;
    body.addEventListener("htmx:afterRequest", ({ detail }) => {
      if (detail.xhr?.getResponseHeader("hx-redirect")) return;
      if (detail.successful) say(detail.xhr.responseText);
      else say(detail.xhr?.responseText || "The server does not answer. Try again.", true);
    });
  });
})();
