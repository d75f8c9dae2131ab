// Keys, copying, times, and what lives. All of it adds to pages that work without.
"use strict";

(() => {
  const $ = (choice, within) => (within || document).querySelector(choice);
  const all = (choice, within) => [...(within || document).querySelectorAll(choice)];
  const said = $("#said");
  const say = (words) => { if (said) said.textContent = words; };

  // ---- copying

  const offerCopies = (within) => {
    if (!navigator.clipboard) return;
    for (const one of all("[data-copy]", within)) one.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = button.dataset.copyFrom ? $(button.dataset.copyFrom) : null;
    await navigator.clipboard.writeText(source ? source.textContent : button.dataset.copy);
    const word = button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { button.textContent = word; }, 1500);
  });

  // ---- absolute and relative times

  const absolute = $("#absolute");
  const isAbsolute = () => { try { return localStorage.getItem("absolute") === "1"; } catch { return false; } };
  const showTimes = (within) => {
    const wanted = isAbsolute();
    for (const one of all("time[title]", within)) {
      if (one.dataset.said === undefined) one.dataset.said = one.textContent;
      one.textContent = wanted ? one.dataset.absolute || one.title : one.dataset.said;
    }
    if (absolute) absolute.textContent = wanted ? "show relative times" : "show absolute times";
  };
  if (absolute) {
    absolute.hidden = false;
    absolute.addEventListener("click", () => {
      try { localStorage.setItem("absolute", isAbsolute() ? "0" : "1"); } catch { return; }
      showTimes(document);
    });
  }

  // ---- keys

  const GO = { o: "/", i: "/integrations", d: "/dead-letters", e: "/explain", t: "/trail" };
  let before = "";
  let isHeld = false;
  const rows = () => all("main tbody tr").filter((one) => $("a", one));
  const move = (step) => {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((one) => one.contains(document.activeElement));
    const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    $("a", next).focus();
    next.scrollIntoView({ block: "nearest" });
  };
  const follow = (choice) => { const one = $(choice); if (one) one.click(); return Boolean(one); };
  // A life has no page above it but the one that led to it; what Find has found is not shown again.
  const goUp = () => {
    const crumb = $(".crumb a");
    const from = document.referrer && new URL(document.referrer);
    const isBack = from && from.origin === location.origin && from.pathname !== location.pathname
      && crumb && "back" in crumb.dataset && from.pathname !== crumb.pathname;
    if (isBack || !follow(".crumb a")) history.back();
  };
  const ACTS = {
    "?": () => { location.href = "/keys"; },
    "/": () => { const field = $("#find"); if (field) field.focus(); else location.href = "/find"; },
    j: () => move(1),
    k: () => move(-1),
    x: () => { const row = document.activeElement.closest("tr"); const box = row && $("input[type=checkbox]", row); if (box) box.click(); },
    f: () => { const one = $(".filters a"); if (one) one.focus(); },
    u: goUp,
    c: () => follow("[data-key=c]"),
    r: () => follow("[data-key=r]"),
    y: () => follow("[data-key=y]"),
    1: () => follow("[data-key='1']"),
    2: () => follow("[data-key='2']"),
    3: () => follow("[data-key='3']"),
    p: () => { isHeld = !isHeld; tellLive(); say(isHeld ? "Updates are held" : "Updates go on"); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const field = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (field) { if (event.key === "Escape") field.blur(); return; }
    const key = event.key;
    const earlier = before;
    before = "";
    if (earlier === "g" && GO[key]) { event.preventDefault(); location.href = GO[key]; return; }
    if (earlier === "g" && key === "w") { event.preventDefault(); location.href = "/worst"; return; }
    if (earlier === "*" && key === "a") { event.preventDefault(); follow("[data-key=all]"); return; }
    if (key === "g" || key === "*") { before = key; return; }
    if (key === "Escape" && location.pathname === "/keys") { history.back(); return; }
    if (ACTS[key]) { event.preventDefault(); ACTS[key](); }
  });

  // ---- the selection of dead letters: the buttons above and `r` take it, once there is one

  const picks = $("#picks");
  const every = $("#pick-all");
  if (picks && every) {
    const boxes = () => all("tbody input[type=checkbox]", picks);
    const count = () => boxes().filter((one) => one.checked).length;
    const whole = $("#picked").textContent;
    const above = all("[data-pick]").map((link) => [link, link.textContent]);
    const tell = () => {
      const marked = count();
      const mean = (verb) => `${verb} ${marked} selected…`;
      $("#picked").textContent = marked ? `${marked} of ${picks.dataset.of} selected` : whole;
      for (const [link, words] of above) link.textContent = marked ? mean(link.dataset.pick) : words;
      for (const one of all("[data-picked]", picks)) {
        one.disabled = !marked;
        one.textContent = marked ? mean(one.dataset.picked) : `${one.dataset.picked} the selected…`;
      }
      every.checked = marked > 0 && marked === boxes().length;
      every.indeterminate = marked > 0 && !every.checked;
    };
    every.hidden = false;
    every.addEventListener("change", () => { for (const one of boxes()) one.checked = every.checked; tell(); });
    picks.addEventListener("change", tell);
    for (const [link] of above) {
      link.addEventListener("click", (event) => {
        if (!count()) return;
        event.preventDefault();
        $(`[data-picked=${link.dataset.pick}]`, picks).click();
      });
    }
    tell();
    window.addEventListener("pageshow", tell); // a browser that goes back marks them again
  }

  // ---- what lives

  const live = $("#live");
  let isConnected = false;
  const tellLive = () => {
    if (!live) return;
    live.hidden = false;
    live.lastChild.textContent = isHeld ? " held" : isConnected ? " live" : " not live";
    live.firstElementChild.className = isHeld ? "warn" : isConnected ? "good" : "bad";
  };
  const place = $("#beat");
  if (place && live && window.EventSource) {
    // A browser gives up for good where it is refused, and asks anew at once where a stream ends.
    const LEAST_PAUSE_MS = 2000;
    const MOST_PAUSE_MS = 60000;
    const LASTING_MS = 30000; // of a stream after which the pauses begin anew
    let source = null;
    let timer = null;
    let pause = LEAST_PAUSE_MS;
    let last = null;
    const stop = () => { clearTimeout(timer); source.close(); };
    const onBeat = (event) => {
      isConnected = true;
      tellLive();
      const beat = JSON.parse(event.data);
      document.title = beat.title;
      const icon = $("#icon");
      if (icon) icon.href = beat.is_urgent ? icon.dataset.failing : icon.dataset.well;
      if (last !== null && last !== beat.sentence) say(beat.sentence);
      last = beat.sentence;
      const letters = $("#letters-there");
      if (letters) { letters.textContent = beat.letters; letters.hidden = beat.letters === "0"; }
      // What somebody points at does not move.
      const isBusy = $(".fleet tbody tr:hover, .plot:hover, #beat form:focus-within");
      if (!isHeld && !document.hidden && !isBusy) {
        document.dispatchEvent(new CustomEvent("beat"));
        const page = $("#page-of");
        if (page && beat.clock) page.textContent = beat.clock;
      }
    };
    const follow = () => {
      const began = Date.now();
      source = new EventSource("/live");
      source.addEventListener("open", () => { isConnected = true; tellLive(); });
      source.addEventListener("beat", onBeat);
      source.addEventListener("error", () => {
        isConnected = false;
        tellLive();
        stop();
        if (Date.now() - began > LASTING_MS) pause = LEAST_PAUSE_MS;
        timer = setTimeout(follow, pause * (0.5 + Math.random() / 2));
        pause = Math.min(MOST_PAUSE_MS, pause * 2);
      });
    };
    follow();
    window.addEventListener("pagehide", stop);
    window.addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  }

  const settle = (within) => { offerCopies(within); showTimes(within); };
  settle(document);
  document.addEventListener("htmx:after:swap", () => settle(document));
})();
