/** Filters the calls of the page's navigation. The page works without it. */
export const DOCS_SCRIPT = `"use strict";
const filter = document.getElementById("filter");
const items = [...document.querySelectorAll("nav ul:not(.chapters) li")];
const show = () => {
  const words = filter.value.toLowerCase().split(/\\s+/);
  for (const item of items) {
    const text = (item.textContent + " " + item.firstElementChild.title).toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
  }
  for (const list of document.querySelectorAll("nav ul:not(.chapters)")) {
    const isEmpty = [...list.children].every((item) => item.hidden);
    list.hidden = isEmpty;
    list.previousElementSibling.hidden = isEmpty;
  }
};
filter.addEventListener("input", show);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === filter) return;
  event.preventDefault();
  filter.focus();
});
`;
