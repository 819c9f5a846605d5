"use strict";
// Filter and sort of the tables of class "listed" that have a finder. The page is whole without it: the fields appear when this runs.
for (const table of document.querySelectorAll(".finder ~ table.listed")) {
  const section = table.closest("section");
  const finder = section.querySelector(".finder");
  const field = finder.querySelector("input");
  const status = finder.querySelector("[role=status]");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const isNumber = (cell) => "value" in cell.dataset;
  const text = (row) => Array.from(row.cells, (cell) => (isNumber(cell) ? "" : cell.textContent)).join("\n");
  const words = new Map(rows.map((row) => [row, plain(text(row))]));

  let order = "";

  const tell = () => {
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} shown${order}`;
  };

  const filter = () => {
    const wanted = plain(field.value.trim());
    for (const row of rows) row.hidden = !words.get(row).includes(wanted);
    tell();
  };

  const compare = (column, first, second) => {
    const [one, other] = [first.cells[column], second.cells[column]];
    return isNumber(one)
      ? Number(one.dataset.value) - Number(other.dataset.value)
      : one.textContent.localeCompare(other.textContent);
  };

  const sort = (column) => {
    const falling = heads[column].getAttribute("aria-sort") === "ascending";
    heads.forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const missing = (row) => row.cells[column].dataset.value === "";
    rows.sort(
      (first, second) => missing(first) - missing(second) || (falling ? -1 : 1) * compare(column, first, second),
    );
    body.append(...rows);
    order = `, sorted by ${heads[column].textContent}, ${falling ? "descending" : "ascending"}`;
    tell();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });
  field.addEventListener("input", filter);
  finder.hidden = false;
}
