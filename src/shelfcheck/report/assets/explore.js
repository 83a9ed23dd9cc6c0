"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("explore-data").textContent);
  const ALL = data.categories.length;
  const STARS = [1, 2, 3, 4, 5];
  const last = data.periods.length - 1;
  const state = { category: ALL, from: 0, to: last, unit: "characters" };
  const count = new Intl.NumberFormat("en");
  const number = (value) => (value === null ? "–" : count.format(Math.round(value)));
  const fixed = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
  const percent = (value, digits = 0) => {
    if (value === null) return "–";
    const shown = (value * 100).toFixed(digits);
    if (value < 1 && Number(shown) === 100) return `>${(100 - 10 ** -digits).toFixed(digits)}\u202f%`;
    return value > 0 && Number(shown) === 0 ? `<${10 ** -digits}\u202f%` : `${shown}\u202f%`;
  };
  const ratio = (part, whole) => (whole ? part / whole : null);

  // Rows of each category in the columns of the data, in the order of time.
  const grouped = (columns) => {
    const rows = Array.from({ length: ALL + 1 }, () => []);
    columns.category.forEach((category, row) => rows[category].push(row));
    return rows;
  };
  const rowsOf = new Map();
  const rows = (columns) => {
    if (!rowsOf.has(columns)) rowsOf.set(columns, grouped(columns));
    return rowsOf.get(columns);
  };

  const whole = () => state.from === 0 && state.to === last;
  const yearOf = (month) => Number(data.months[month].slice(0, 4)) - data.years[0];
  const monthInside = (month) => {
    const at = data.period === "month" ? month : yearOf(month);
    return at >= state.from && at <= state.to;
  };
  const inside = (at) => at >= state.from && at <= state.to;

  // Distinct products and customers of any span: see `Counts.recurrence` in the code that counts them.
  const distinct = (subject) => {
    const columns = data.recurrence[subject];
    const unique = new Array(ALL + 1).fill(0);
    const several = new Array(ALL + 1).fill(0);
    const period = columns[`review_${data.period}`];
    const earlier = columns[`earlier_${data.period}`];
    for (let row = 0; row < period.length; row += 1) {
      if (period[row] > state.to || earlier[row] >= state.from) continue;
      if (period[row] >= state.from) unique[columns.category[row]] += columns[`unique_${subject}s`][row];
      several[columns.category[row]] += columns[`${subject}s_with_several_reviews`][row];
    }
    return { unique, several };
  };

  const SUMS = ["reviews", ...STARS.map((one) => `stars_${one}`), "verified_known", "verified", "vine_known", "vine",
    "votes_known", "helpful_reviews", "characters", "tokens"];
  // What is counted of each category in the time chosen. All time has the reviews without a date, too.
  const measure = () => {
    const found = Array.from({ length: ALL + 1 }, () => Object.fromEntries(SUMS.map((name) => [name, 0])));
    const columns = whole() ? data.whole : data.by_month;
    columns.category.forEach((category, row) => {
      if (!whole() && !monthInside(columns.review_month[row])) return;
      for (const name of SUMS) found[category][name] += columns[name][row];
    });
    if (whole()) {
      data.whole.category.forEach((category, row) => {
        Object.assign(found[category], {
          products: data.whole.unique_products[row], products_several: data.whole.products_with_several_reviews[row],
          customers: data.whole.unique_customers[row], customers_several: data.whole.customers_with_several_reviews[row],
        });
        for (const unit of ["characters", "tokens"]) {
          found[category][`${unit}_quartiles`] = [25, 50, 75].map((at) => data.whole[`${unit}_p${at}`][row]);
        }
      });
    } else {
      for (const subject of ["product", "customer"]) {
        const { unique, several } = distinct(subject);
        found.forEach((one, category) => {
          one[`${subject}s`] = unique[category];
          one[`${subject}s_several`] = several[category];
        });
      }
      for (const unit of ["characters", "tokens"]) {
        histograms(unit).forEach((bins, category) => { found[category][`${unit}_quartiles`] = quartiles(bins); });
      }
    }
    for (const one of found) {
      one.rated = STARS.reduce((sum, stars) => sum + one[`stars_${stars}`], 0);
      one.mean = ratio(STARS.reduce((sum, stars) => sum + stars * one[`stars_${stars}`], 0), one.rated);
    }
    return found;
  };

  // Lengths: bins of each category in the time chosen.
  const histograms = (unit) => {
    const columns = data.lengths[unit];
    const period = columns[`review_${data.period}`];
    const found = Array.from({ length: ALL + 1 }, () => new Map());
    for (let row = 0; row < period.length; row += 1) {
      if (!whole() && !inside(period[row])) continue;
      const bins = found[columns.category[row]];
      const low = columns.length_from[row];
      const bin = bins.get(low) || { low, high: columns.length_to[row], reviews: 0 };
      bin.reviews += columns.reviews[row];
      bins.set(low, bin);
    }
    return found.map((bins) => [...bins.values()].sort((one, other) => one.low - other.low));
  };
  const quartiles = (bins) => {
    const total = bins.reduce((sum, bin) => sum + bin.reviews, 0);
    if (!total) return [null, null, null];
    return [0.25, 0.5, 0.75].map((share) => {
      let below = 0;
      for (const bin of bins) {
        if (below + bin.reviews >= share * total) {
          return Math.round(bin.low + ((bin.high - bin.low) * (share * total - below)) / bin.reviews);
        }
        below += bin.reviews;
      }
      return bins[bins.length - 1].high;
    });
  };

  // The times drawn: months, or years where the months chosen are many.
  const timeline = () => {
    if (!data.months.length) return [];
    const months = data.months.map((_, month) => month).filter(monthInside);
    const byYear = months.length > 72 && data.by_year;
    const columns = byYear ? data.by_year : data.by_month;
    const time = byYear ? "review_year" : "review_month";
    const at = new Map(rows(columns)[state.category].map((row) => [columns[time][row], row]));
    const names = byYear ? data.years : data.months;
    const places = byYear ? [...new Set(months.map(yearOf))] : months;
    return places.map((place) => {
      const row = at.get(place);
      const get = (name, absent = 0) => (row === undefined ? absent : columns[name][row]);
      return { when: String(names[place]), get };
    });
  };

  const shareOf = (bins) => {
    const total = bins.reduce((sum, bin) => sum + bin.reviews, 0);
    return bins.map((bin) => ({
      low: Math.max(bin.low, 0.8), high: bin.high + 1, reviews: bin.reviews, share: bin.reviews / total,
      length: bin.low === bin.high ? count.format(bin.low) : `${count.format(bin.low)} to ${count.format(bin.high)}`,
    }));
  };
  const activity = (subject) => {
    const columns = data.activity[subject];
    return rows(columns)[state.category].map((row) => {
      const [first, end] = [columns.reviews_from[row], columns.reviews_to[row]];
      const bin = end === null ? `${count.format(first)}+` : first === end ? String(first) : `${first}–${count.format(end)}`;
      return { bin, n: columns[`${subject}s`][row], reviews: columns.reviews[row] };
    });
  };
  const isChosen = (category) => state.category === ALL || state.category === category;

  // Rows of every chart, and the cells that its table shows.
  const chartRows = {
    reviews: (times) => times.map(({ when, get }) => ({ when, reviews: get("reviews") })),
    products: (times) => times.flatMap(({ when, get }) => [
      { when, kind: "With reviews", products: get("unique_products") },
      { when, kind: "First reviewed", products: get("new_products") },
      { when, kind: "Last reviewed", products: get("last_reviewed_products") },
    ]),
    stars: (times) => times.flatMap(({ when, get }) => {
      const rated = STARS.reduce((sum, stars) => sum + get(`stars_${stars}`), 0);
      const mean = ratio(STARS.reduce((sum, stars) => sum + stars * get(`stars_${stars}`), 0), rated);
      return [5, 4, 3, 2, 1].map((stars) => ({
        when, stars: String(stars), reviews: get(`stars_${stars}`), share: ratio(get(`stars_${stars}`), rated), mean,
      }));
    }),
    length: (times) => times.map(({ when, get }) => ({
      when, p25: get(`${state.unit}_p25`, null), p50: get(`${state.unit}_p50`, null), p75: get(`${state.unit}_p75`, null),
      mean: ratio(get(state.unit), get("reviews")),
    })),
    flags: (times) => times.flatMap(({ when, get }) => [
      { when, kind: "Verified purchase", share: ratio(get("verified"), get("verified_known")) },
      { when, kind: "Vine", share: ratio(get("vine"), get("vine_known")) },
      { when, kind: "With a helpful vote", share: ratio(get("helpful_reviews"), get("votes_known")) },
    ]),
    categories: (_, found) => data.categories.map((category, place) => ({
      category, reviews: found[place].reviews, share: ratio(found[place].reviews, found[ALL].reviews), chosen: isChosen(place),
    })).filter((row) => row.reviews),
    "mean-stars": (_, found) => data.categories.map((category, place) => ({
      category, mean: found[place].mean, rated: found[place].rated, one: 1, chosen: isChosen(place),
    })).filter((row) => row.rated),
    "length-by-category": (_, found) => data.categories.map((category, place) => {
      const [p25, p50, p75] = found[place][`${state.unit}_quartiles`];
      return { category, p25, p50, p75, mean: ratio(found[place][state.unit], found[place].reviews), chosen: isChosen(place) };
    }).filter((row) => row.p50 !== null && row.mean !== null),
    lengths: () => shareOf(histograms(state.unit)[state.category]),
    "products-activity": () => activity("product"),
    "customers-activity": () => activity("customer"),
    missing: () => rows(data.missing)[state.category].map((row) => ({
      column: data.missing.column[row].replaceAll("_", " "), missing: data.missing.missing[row],
      share: data.missing.missing_share[row],
    })),
  };
  const chartCells = {
    reviews: (row) => [row.when, number(row.reviews)],
    products: (row) => [row.when, row.kind, number(row.products)],
    stars: (row) => [row.when, row.stars, number(row.reviews), fixed(row.mean)],
    length: (row) => [row.when, number(row.p25), number(row.p50), number(row.p75), fixed(row.mean, 1)],
    flags: (row) => [row.when, row.kind, percent(row.share, 1)],
    categories: (row) => [row.category, number(row.reviews)],
    "mean-stars": (row) => [row.category, fixed(row.mean), number(row.rated)],
    "length-by-category": (row) => [row.category, number(row.p25), number(row.p50), number(row.p75), fixed(row.mean, 1)],
    lengths: (row) => [row.length, number(row.reviews)],
    "products-activity": (row) => [row.bin, number(row.n), number(row.reviews)],
    "customers-activity": (row) => [row.bin, number(row.n), number(row.reviews)],
    missing: (row) => [row.column, number(row.missing), percent(row.share, 1)],
  };
  const current = new Map();
  const put = (name) => {
    const view = byId(`chart-${name}`)?.view;
    if (view) view.data("rows", current.get(name).map((row) => ({ ...row }))).runAsync();
  };
  const write = (name) => {
    const details = byId(`figure-${name}`)?.querySelector("details.data");
    if (!details?.open) return;
    const body = details.querySelector("tbody");
    body.replaceChildren(...current.get(name).map((row) => {
      const line = document.createElement("tr");
      chartCells[name](row).forEach((text, at) => {
        const cell = document.createElement(at ? "td" : "th");
        if (at) cell.className = "n";
        else cell.scope = "row";
        cell.textContent = text;
        line.append(cell);
      });
      return line;
    }));
  };

  // Tables that can be sorted: a button in every heading.
  const sortBy = (table, at, descending) => {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[at].dataset.kind === "number";
    const value = (line) => line.cells[at].dataset.value;
    const lines = [...body.rows];
    const order = (one, other) => {
      if (!value(one) || !value(other)) return Number(!value(one)) - Number(!value(other)); // unknown ones last
      const less = numeric ? value(one) - value(other) : value(one).localeCompare(value(other), "en");
      return descending ? -less : less;
    };
    lines.sort(order);
    body.append(...lines);
    [...table.tHead.rows[0].cells].forEach((cell, place) => {
      if (place === at) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };
  const sorted = new Map();
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((cell, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = sorted.get(table);
        const first = cell.dataset.kind === "number"; // numbers: largest first
        const descending = before && before.at === at ? !before.descending : first;
        sorted.set(table, { at, descending });
        sortBy(table, at, descending);
        byId("status").textContent = `Sorted by ${button.textContent}, ${descending ? "descending" : "ascending"}`;
      });
    });
  }
  const again = (table) => {
    const how = sorted.get(table);
    if (how) sortBy(table, how.at, how.descending);
  };

  const fillCategories = (found) => {
    const table = byId("categories-table");
    for (const line of table.tBodies[0].rows) {
      const place = Number(line.dataset.category);
      const one = found[place];
      const verified = ratio(one.verified, one.verified_known);
      const cells = [one.reviews, one.products, one.products_several, one.customers, one.mean, verified, one.characters_quartiles[1]];
      const texts = [...cells.slice(0, 4).map(number), fixed(one.mean), percent(verified), number(cells[6])];
      texts.forEach((text, at) => {
        line.cells[at + 1].textContent = text;
        line.cells[at + 1].dataset.value = cells[at] ?? "";
      });
      line.hidden = !one.reviews;
      line.classList.toggle("chosen", state.category === place);
    }
    again(table);
  };
  const fillFigures = (one) => {
    const tile = (id, value, note = "") => {
      const place = byId(`figure-${id}-value`);
      place.querySelector(".big").textContent = value;
      place.querySelector(".note").textContent = note;
    };
    tile("reviews", number(one.reviews));
    tile("products", number(one.products), `${number(one.products_several)} with several reviews`);
    tile("customers", number(one.customers), `${number(one.customers_several)} with several reviews`);
    tile("stars", fixed(one.mean));
    tile("length", number(one.characters_quartiles[1]), whole() ? "characters" : "characters, about");
    tile("verified", percent(ratio(one.verified, one.verified_known)), "of those known");
    tile("helpful", percent(ratio(one.helpful_reviews, one.votes_known)), "of those known");
  };
  const sentence = (one) => {
    const what = state.category === ALL ? "All categories" : data.categories[state.category];
    const when = !data.periods.length || whole() ? "all time" : state.from === state.to
      ? data.periods[state.from] : `${data.periods[state.from]} to ${data.periods[state.to]}`;
    const row = rows(data.whole)[state.category][0];
    const undated = whole() && row !== undefined ? data.whole.undated_reviews[row] : 0;
    const more = undated && data.periods.length ? `, ${number(undated)} of them without a date` : "";
    return `${what}, ${when}: ${number(one.reviews)} ${one.reviews === 1 ? "review" : "reviews"}${more}`;
  };

  const show = () => {
    const found = measure();
    const times = timeline();
    for (const [name, make] of Object.entries(chartRows)) {
      if (!byId(`chart-${name}`)) continue;
      current.set(name, make(times, found));
      put(name);
      write(name);
    }
    fillCategories(found);
    fillFigures(found[state.category]);
    const products = byId("top-products");
    if (products) for (const line of products.tBodies[0].rows) line.hidden = !isChosen(Number(line.dataset.category));
    byId("explore-shown").textContent = sentence(found[state.category]);
  };

  const controls = { category: byId("explore-category"), from: byId("explore-from"), to: byId("explore-to"), unit: byId("explore-unit") };
  const changed = () => { show(); byId("status").textContent = byId("explore-shown").textContent; };
  controls.category.addEventListener("change", () => { state.category = Number(controls.category.value); changed(); });
  for (const [end, other] of [["from", "to"], ["to", "from"]]) {
    controls[end]?.addEventListener("change", () => {
      state[end] = Number(controls[end].value);
      if (state.from > state.to) { state[other] = state[end]; controls[other].value = state[end]; }
      changed();
    });
  }
  controls.unit.addEventListener("change", () => { state.unit = controls.unit.value; changed(); });
  byId("explore-reset").addEventListener("click", () => {
    Object.assign(state, { category: ALL, from: 0, to: last });
    controls.category.value = ALL;
    if (controls.from) { controls.from.value = 0; controls.to.value = last; }
    changed();
  });
  byId("explore-filters").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("drawn", (event) => {
    const name = event.target.id.slice(6);
    if (!current.has(name)) return;
    put(name); // what was chosen while the chart was drawn
    if (!["categories", "mean-stars", "length-by-category"].includes(name)) return;
    event.target.view.addEventListener("click", (_, item) => {
      const place = data.categories.indexOf(item?.datum?.category);
      if (place < 0) return;
      state.category = state.category === place ? ALL : place;
      controls.category.value = state.category;
      changed();
    });
  });
  for (const details of document.querySelectorAll("details.data")) {
    details.addEventListener("toggle", () => write(details.closest(".figure").id.slice(7)));
  }
  byId("explore-filters").hidden = false;
  byId("explore-unit-field").hidden = false;
  const table = byId("categories-table");
  sorted.set(table, { at: 1, descending: true });
  show();
})();
