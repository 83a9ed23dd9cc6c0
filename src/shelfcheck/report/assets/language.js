"use strict";
(() => {
  const form = document.getElementById("language-filters");
  const select = document.getElementById("language-category");
  const cards = [...document.querySelectorAll(".language")];
  if (!form || !cards.length) return;
  const shown = document.getElementById("language-shown");
  const show = () => {
    for (const card of cards) card.hidden = Boolean(select.value) && card.dataset.category !== select.value;
    const left = cards.filter((card) => !card.hidden).length;
    shown.textContent = select.value ? `Showing ${left} of ${cards.length} comparisons` : "";
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  select.addEventListener("change", () => { show(); document.getElementById("status").textContent = shown.textContent; });
  form.hidden = false;
  show();
})();
