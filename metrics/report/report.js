"use strict";
// Sorts a table by the column whose heading is pressed; the numbers are in data-value, in one unit.
const numeric = (cell) => cell.dataset.value !== undefined ? Number(cell.dataset.value) : Number(cell.textContent);
const compare = (one, other) => {
  const [a, b] = [numeric(one), numeric(other)];
  if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
  if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return one.textContent.localeCompare(other.textContent, "en", { numeric: true });
};
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => heading.querySelector("button").addEventListener("click", () => {
    const direction = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((one, other) => sign * compare(one.cells[place], other.cells[place]));
    table.tBodies[0].append(...rows);
  }));
}
addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((part) => { part.open = true; }));
