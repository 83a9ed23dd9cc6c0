"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("graph-data").textContent);
  const stage = byId("stage"), tip = byId("tip"), details = byId("details"), notice = byId("notice");
  const confidence = byId("confidence"), links = byId("links");
  const count = new Intl.NumberFormat("en");
  const { nodes, edges } = data;
  const home = Math.max(0, nodes.findIndex((node) => node.here));

  const joined = nodes.map(() => []);
  edges.forEach(([source, target], at) => { joined[source].push(at); joined[target].push(at); });
  const other = (edge, at) => (edges[edge][0] === at ? edges[edge][1] : edges[edge][0]);

  // What is shown. An edge that a prediction made is there as long as a review is as sure as is asked for; what
  // hangs on such edges alone goes with them.
  const CARRIED = {
    review: ["predicted"], reviews: ["predicted"], products: ["predicted", "bought"], product: ["reviewed", "bought"],
    customer: ["wrote", "bought"], customers: ["wrote"], category: ["predicted", "assigned"],
  };
  const hiddenNode = new Uint8Array(nodes.length), hiddenEdge = new Uint8Array(edges.length);
  const sure = new Float64Array(edges.length);
  const choose = () => {
    const least = Number(confidence.value), most = links ? Number(links.value) : edges.length;
    edges.forEach(([, , kind, , bins], at) => {
      let n = bins.length ? 0 : 1;
      for (let i = 0; i < bins.length; i += 2) if (bins[i] >= least) n += bins[i + 1];
      sure[at] = n;
      hiddenEdge[at] = Number(n === 0 || (kind === "confused" && at >= most));
    });
    hiddenNode.fill(0);
    if (data.level === "categories") return;
    for (const kind of ["review", "reviews", "products", "product", "customer", "customers", "category"]) {
      nodes.forEach((node, at) => {
        if (node.k !== kind || node.here) return;
        const carried = joined[at].filter((edge) => CARRIED[kind].includes(edges[edge][2]));
        if (!carried.length || carried.some((edge) => !hiddenEdge[edge])) return;
        hiddenNode[at] = 1;
        for (const edge of joined[at]) hiddenEdge[edge] = 1;
      });
    }
  };

  // How it looks. Colours are those of the page's style, read again when the theme changes.
  let colours = null;
  const read = () => {
    const style = getComputedStyle(document.documentElement);
    colours = {};
    for (const name of ["category", "product", "review", "customer", "assigned", "low", "high", "thin", "in", "faded", "label", "halo", "ring"]) {
      colours[name] = style.getPropertyValue(`--g-${name}`).trim();
    }
    const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    const [low, high] = [parts(colours.low), parts(colours.high)];
    colours.steps = Array.from({ length: data.steps }, (_, step) => {
      const share = step / (data.steps - 1);
      return "#" + low.map((one, at) => Math.round(one * (1 - share) + high[at] * share).toString(16).padStart(2, "0")).join("");
    });
  };
  read();

  let pointed = -1, kept = -1, current = -1, matches = new Set(), near = null;
  const focus = () => (pointed >= 0 ? pointed : kept >= 0 ? kept : current);
  const around = () => {
    const at = focus();
    near = at < 0 ? null : new Set([at, ...joined[at].filter((edge) => !hiddenEdge[edge]).map((edge) => other(edge, at))]);
    if (at < 0 || data.level !== "category") return;
    for (const next of [...near]) { // the whole way: from the product's own category to what its reviews are read as
      if (nodes[at].k === "product" && nodes[next].k.startsWith("review")) {
        for (const edge of joined[next]) if (edges[edge][2] === "predicted" && !hiddenEdge[edge]) near.add(edges[edge][1]);
      } else if (nodes[at].k.startsWith("review") && nodes[next].k === "product") near.add(home);
    }
  };
  const state = {
    first: () => [...new Set([focus(), current, kept, ...matches])].filter((at) => at >= 0),
    node(at) {
      const lit = at === focus() || at === kept || matches.has(at);
      const faded = near !== null && !near.has(at) && !lit;
      const base = nodes[at].k.replace(/s$/, "");
      return { hidden: Boolean(hiddenNode[at]), faded, lit, front: lit || !faded, color: faded ? colours.faded : colours[base] };
    },
    edge(at) {
      const [source, target, kind, step] = edges[at], middle = focus();
      const [first, factor, most] = data.widths[kind];
      const faded = near !== null && !(near.has(source) && near.has(target) &&
        (source === middle || target === middle || data.level !== "categories"));
      let color = step >= 0 ? colours.steps[step] : kind === "assigned" ? colours.assigned : colours.thin;
      if (kind === "confused" && target === middle) color = colours.in;
      return { hidden: Boolean(hiddenEdge[at]) || (faded && data.level === "categories"), faded, front: near !== null && !faded,
        color: faded ? colours.faded : color, width: Math.min(first + factor * Math.sqrt(sure[at]), most) };
    },
  };

  choose();
  // The still picture is there at once, and works; the live one takes its place when it is ready.
  let view = graphViews.bySvg(stage, data, () => colours, state);
  const start = () => {
    document.documentElement.dataset.firstDraw = performance.now().toFixed(0);
    let why = graphViews.missing();
    if (!why) {
      try {
        const live = graphViews.byWebGL(stage, data, () => colours, state);
        live.on(...pointing);
        stage.classList.add("drawn");
        view = live;
        point();
      } catch (error) {
        why = `WebGL fails here: ${error.message}`;
        for (const canvas of stage.querySelectorAll("canvas")) canvas.remove();
      }
    }
    if (why) {
      notice.textContent = `A still picture, as ${why}. Search, filter, list and keys work all the same.`;
      notice.hidden = false;
    }
    byId("zoom-in").parentElement.hidden = Boolean(why);
    requestAnimationFrame(() => requestAnimationFrame(() => { // the frame after the first that shows it
      document.documentElement.dataset.ready = `${view.name} ${performance.now().toFixed(0)}`;
    }));
  };

  const refresh = () => { around(); view.refresh(); };

  // Words on a node. Reviews are shown as text, never as markup.
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const told = (at) => {
    const node = nodes[at];
    return [node.n, data.kinds[node.k] + (node.line ? `, ${node.line}` : "")];
  };
  const hint = details.firstElementChild;
  const describe = () => {
    const at = focus();
    details.replaceChildren();
    if (at < 0) { details.append(hint); return; }
    const node = nodes[at], list = element("dl");
    details.append(element("h2", node.n), element("p", told(at)[1], "dim"));
    details.firstChild.dir = "auto";
    for (const [text, address] of node.a || []) {
      const link = element("a", text), line = element("p");
      link.href = address;
      line.append(link);
      details.append(line);
    }
    for (const [name, value] of node.f) list.append(element("dt", name), element("dd", value));
    if (node.f.length) details.append(list);
    for (const [meta, head, body] of node.t || []) {
      const quote = element("blockquote");
      if (head) quote.append(element("p", head, "head"));
      if (body) quote.append(element("p", body));
      quote.append(element("p", meta, "dim"));
      quote.dir = "auto";
      details.append(quote);
    }
    if (node.m) details.append(element("p", "Its own picture is drawn by:", "dim"), element("code", node.m));
  };
  const point = () => { // the tip beside a node that is pointed at or that the keyboard is on
    const at = pointed >= 0 ? pointed : document.activeElement === stage ? current : -1;
    tip.hidden = at < 0;
    if (at < 0) return;
    const [name, line] = told(at), text = (nodes[at].t || [])[0];
    tip.replaceChildren(element("p", name, "who"), element("p", line, "kind"));
    if (pointed >= 0 && text && text[2]) tip.append(element("p", text[2].slice(0, 140) + (text[2].length > 140 ? "…" : "")));
    const { x, y, r } = view.where(at), { clientWidth, clientHeight } = stage;
    const left = x + r + 12 + tip.offsetWidth < clientWidth ? x + r + 12 : Math.max(4, x - r - 12 - tip.offsetWidth);
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(4, Math.min(y - tip.offsetHeight / 2, clientHeight - tip.offsetHeight - 4))}px`;
  };
  const update = () => { refresh(); describe(); point(); };

  const go = (at) => {
    current = at;
    kept = -1;
    pointed = -1;
    if (at >= 0) view.reveal(at);
    update();
    if (at >= 0) byId("status").textContent = told(at).join(". ");
  };
  const keep = (at) => {
    kept = at;
    current = at;
    pointed = -1;
    update();
  };
  let leaving = 0;
  const pointing = [
    (at) => { clearTimeout(leaving); if (kept < 0) { pointed = at; stage.classList.add("points"); update(); } },
    () => { clearTimeout(leaving); leaving = setTimeout(() => { if (pointed >= 0) { pointed = -1; update(); } }, 60); },
    (at) => { stage.focus({ preventScroll: true }); keep(at === kept ? -1 : at); },
  ];
  view.on(...pointing);

  // Keys. The next node that way is the one with the least way to go, a way to the side counting double.
  const towards = (dx, dy) => {
    const from = current >= 0 ? view.where(current) : { x: stage.clientWidth / 2, y: stage.clientHeight / 2 };
    let best = -1, least = Infinity;
    nodes.forEach((_, at) => {
      if (at === current || hiddenNode[at]) return;
      const { x, y } = view.where(at);
      const along = (x - from.x) * dx + (y - from.y) * dy, aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
      const far = along + 2 * aside;
      if (along > 0.5 && far < least) { best = at; least = far; }
    });
    return best;
  };
  const alongEdges = (step) => {
    const middle = kept >= 0 ? kept : current < 0 ? home : current;
    if (alongEdges.middle === undefined || !alongEdges.list.includes(current)) {
      alongEdges.middle = middle;
      alongEdges.list = [middle, ...new Set(joined[middle].filter((edge) => !hiddenEdge[edge]).map((edge) => other(edge, middle)))];
    }
    const { list } = alongEdges;
    return list[(list.indexOf(current) + step + list.length) % list.length];
  };
  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener("keydown", (event) => {
    if (event.target !== stage || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = WAYS[event.key];
    if (way) {
      const next = current < 0 ? home : towards(...way);
      if (next >= 0) go(next);
    } else if (event.key === "n" || event.key === "p") go(alongEdges(event.key === "n" ? 1 : -1));
    else if (event.key === "Home") go(home);
    else if (event.key === "Enter" || event.key === " ") {
      if (current < 0) return;
      keep(current);
      (details.querySelector("a") || details).focus();
    } else if (event.key === "Escape") { if (current < 0 && kept < 0) view.zoom(0); else go(-1); }
    else if (event.key === "+" || event.key === "=") view.zoom(1);
    else if (event.key === "-") view.zoom(-1);
    else if (event.key === "0") view.zoom(0);
    else return;
    event.preventDefault();
  });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const back = current;
    stage.focus();
    go(back);
  });
  stage.addEventListener("focus", () => {
    if (current < 0 && stage.matches(":focus-visible")) go(home);
    else point();
  });
  stage.addEventListener("blur", point);
  // The wheel scrolls the page until someone has turned to the picture.
  stage.addEventListener("wheel", (event) => {
    if (document.activeElement !== stage && !event.ctrlKey) event.stopPropagation();
  }, { capture: true });
  for (const [id, step] of [["zoom-in", 1], ["zoom-out", -1], ["zoom-all", 0]]) {
    byId(id).addEventListener("click", () => view.zoom(step));
  }

  // Filters and search.
  const said = () => {
    byId("confidence-said").textContent = (confidence.value / 20).toFixed(2);
    if (links) byId("links-said").textContent = count.format(links.value);
  };
  const filter = () => {
    said();
    choose();
    if (current >= 0 && hiddenNode[current]) { current = -1; kept = -1; }
    update();
    const [shown, lines] = tell();
    byId("status").textContent = `${count.format(shown)} nodes and ${count.format(lines)} edges are shown.`;
  };
  const tell = () => {
    const left = [hiddenNode, hiddenEdge].map((hidden) => hidden.reduce((sum, one) => sum + (one ? 0 : 1), 0));
    document.documentElement.dataset.shown = left.join(" ");
    return left;
  };
  confidence.addEventListener("input", filter);
  if (links) links.addEventListener("input", filter);
  const search = byId("search"), found = byId("found");
  const MOST = 12;
  const look = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const list = wanted.length ? nodes.map((_, at) => at).filter((at) => !hiddenNode[at] && wanted.every((word) => nodes[at].find.includes(word))) : [];
    matches = new Set(list.slice(0, 200));
    found.replaceChildren(...list.slice(0, MOST).map((at) => {
      const line = element("li"), button = element("button", nodes[at].n);
      button.type = "button";
      button.append(" ", element("span", data.kinds[nodes[at].k], "kind"));
      button.addEventListener("click", () => { stage.focus({ preventScroll: true }); go(at); });
      line.append(button);
      return line;
    }));
    if (list.length > MOST) found.append(element("li", `and ${count.format(list.length - MOST)} more`, "hint"));
    if (wanted.length && !list.length) found.append(element("li", "Nothing here has these words.", "hint"));
    byId("status").textContent = wanted.length ? `${count.format(list.length)} found` : "";
    refresh();
    return list;
  };
  search.addEventListener("input", look);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { search.value = ""; look(); }
    if (event.key === "Enter") {
      event.preventDefault();
      const list = look();
      if (list.length) { stage.focus(); go(list[0]); }
    }
  });
  for (const row of document.querySelectorAll("[data-row]")) {
    const cell = row.firstElementChild, button = element("button", cell.textContent);
    button.type = "button";
    button.addEventListener("click", () => {
      stage.scrollIntoView({ block: "nearest" });
      stage.focus({ preventScroll: true });
      go(Number(row.dataset.row));
    });
    cell.replaceChildren(button);
  }

  const repaint = () => { read(); update(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  said();
  tell();
  requestAnimationFrame(() => setTimeout(start));
})();
