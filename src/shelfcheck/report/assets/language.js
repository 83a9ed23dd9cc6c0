"use strict";
(() => {
  const form = document.getElementById("language-filters");
  const select = document.getElementById("language-category");
  const cards = [...document.querySelectorAll(".language")];
  if (!form || !cards.length) return;
  const shown = document.getElementById("language-shown");
  const show = () => {
    // A chart cannot be drawn where it is hidden: wait until all are.
    if (!document.documentElement.classList.contains("drawn")) return setTimeout(show, 100);
    for (const card of cards) card.hidden = Boolean(select.value) && card.dataset.category !== select.value;
    const left = cards.filter((card) => !card.hidden).length;
    shown.textContent = select.value ? `Showing ${left} of ${cards.length} comparisons` : "";
    document.getElementById("status").textContent = shown.textContent;
    return null;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  select.addEventListener("change", show);
  form.hidden = false;
  const asked = new URLSearchParams(location.search).get("category"); // language.html?category=Baby
  if ([...select.options].some((option) => option.value === asked)) select.value = asked;
  if (select.value) show(); // asked for, or remembered by the browser
})();
