"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const byId = (id) => document.getElementById(id);

  // Theme: what the system says, unless someone chose. A file:// page may not store things.
  const store = {
    get() { try { return localStorage.getItem("shelfcheck-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("shelfcheck-theme", value); } catch { /* not remembered */ } },
  };
  const themes = ["system", "light", "dark"];
  const asked = new URLSearchParams(location.search).get("theme");
  let theme = themes.find((one) => one === (asked || store.get())) || "system";
  const button = byId("theme");
  const paint = () => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    store.set(theme);
    paint();
  });
  button.hidden = false;
  paint();

  // Charts: drawn once; colours are CSS variables and follow the theme by themselves.
  const { config, specs } = JSON.parse(byId("charts").textContent);
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, config,
    tooltip: { disableDefaultStyle: true }, logLevel: 1,
  };
  const drawn = new Set();
  const draw = (name) => {
    const place = byId(`chart-${name}`);
    if (!place || drawn.has(name) || !place.clientWidth) return null;
    drawn.add(name);
    return vegaEmbed(place, specs[name], options).then(({ view }) => {
      place.view = view; // for a page's own script
      place.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
    }).catch((error) => {
      console.error(error);
      place.textContent = "This chart could not be drawn; its numbers are in the table below.";
    });
  };
  const names = Object.keys(specs);
  let touched = false; // has the reader moved? If not, the place that the address names is found again
  for (const kind of ["wheel", "touchstart", "keydown", "mousedown"]) {
    addEventListener(kind, () => { touched = true; }, { once: true, passive: true });
  }
  const next = () => {
    const name = names.shift();
    if (name === undefined) {
      root.classList.add("drawn");
      const target = location.hash && byId(location.hash.slice(1));
      return target && !touched ? target.scrollIntoView({ behavior: "instant" }) : null;
    }
    return Promise.resolve(draw(name)).then(() => setTimeout(next, 0));
  };
  next();
  for (const details of document.querySelectorAll("details.more")) {
    details.addEventListener("toggle", () => {
      for (const place of details.querySelectorAll(".chart")) draw(place.id.slice(6));
    });
  }
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.rest")) details.open = true;
  });

  // Where the reader is, in the contents.
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const contents = document.querySelector(".contents");
  const sections = [...document.querySelectorAll("main > section")];
  const here = () => {
    let current = sections[0];
    for (const section of sections) if (section.getBoundingClientRect().top < innerHeight * 0.3) current = section;
    for (const [id, link] of links) {
      if (id !== current.id) link.removeAttribute("aria-current");
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "true");
        contents.scrollLeft = link.offsetLeft - contents.clientWidth / 3;
      }
    }
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; here(); });
  }, { passive: true });
  here();

  // Lists of findings: search, category, order, and a few at a time.
  const PAGE = 25;
  const count = new Intl.NumberFormat("en");
  const orders = {
    rank: (one, other) => one.dataset.rank - other.dataset.rank,
    stars: (one, other) => one.dataset.stars - other.dataset.stars,
    reviews: (one, other) => other.dataset.reviews - one.dataset.reviews,
    date: (one, other) => other.dataset.date.localeCompare(one.dataset.date),
    title: (one, other) => !one.dataset.title - !other.dataset.title || one.dataset.title.localeCompare(other.dataset.title),
  };
  const setUp = (id) => {
    const list = byId(`${id}-list`);
    if (!list) return;
    const cards = [...list.querySelectorAll(".finding")];
    const texts = new Map();
    const text = (card) => {
      if (!texts.has(card)) texts.set(card, card.textContent.toLowerCase());
      return texts.get(card);
    };
    const [form, search, category, order, shown, pager] =
      ["filters", "search", "category", "order", "shown", "pager"].map((part) => byId(`${id}-${part}`));
    const more = document.createElement("button");
    more.type = "button";
    more.className = "button";
    pager.append(more);
    let limit = PAGE;
    let matching = cards;
    const show = () => {
      const visible = new Set(matching.slice(0, limit));
      for (const card of cards) card.hidden = !visible.has(card);
      const left = matching.length - visible.size;
      more.textContent = `Show ${count.format(Math.min(PAGE, left))} more`;
      pager.hidden = left === 0;
      const all = matching.length === cards.length ? "" : ` that match, of ${count.format(cards.length)} listed`;
      shown.textContent = `Showing ${count.format(visible.size)} of ${count.format(matching.length)}${all}`;
    };
    const select = () => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      matching = cards.filter((card) =>
        (!category.value || card.dataset.from === category.value || card.dataset.to === category.value) &&
        wanted.every((word) => text(card).includes(word)));
      limit = PAGE;
      show();
    };
    let timer = 0;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(() => { select(); byId("status").textContent = shown.textContent; }, 200);
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    search.addEventListener("input", later);
    category.addEventListener("change", later);
    order.addEventListener("change", () => {
      cards.sort((one, other) => orders[order.value](one, other) || orders.rank(one, other));
      list.append(...cards);
      later();
    });
    more.addEventListener("click", () => {
      const first = matching[limit];
      limit += PAGE;
      show();
      first.querySelector(".rank").focus();
    });
    const reveal = () => {
      const at = matching.findIndex((card) => `#${card.id}` === location.hash);
      if (at < 0) return;
      if (at >= limit) { limit = at + 1; show(); }
      matching[at].scrollIntoView({ behavior: "instant" });
    };
    addEventListener("hashchange", reveal);
    form.hidden = false;
    select();
    reveal();
  };
  setUp("misplaced");
  setUp("miscategorised");
  setUp("declining");
})();
