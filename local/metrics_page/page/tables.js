// Tables, which say in words what the plots show.

function cell(name, text, scope) {
  const made = document.createElement(name);
  made.textContent = text;
  if (scope) made.scope = scope;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

/** Headings, and rows of [label, colour of its series, cells]. */
export function table(headings, rows) {
  const made = document.createElement("table");
  made.createTHead().append(
    row(...headings.map((text) => cell(text ? "th" : "td", text, text && "col"))));
  made.createTBody().append(...rows.map(([label, color, cells]) => {
    const head = cell("th", label, "row");
    if (color) head.className = color;
    return row(head, ...cells.map((text) => cell("td", text)));
  }));
  return made;
}
