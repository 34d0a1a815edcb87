"use strict";
// The matrix by keyboard, and stories as dialogs: focus goes in with them and comes back to the cell.
(() => {
  const main = document.getElementById("matrix");
  const many = document.body.classList.contains("many");
  const rows = [...main.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.querySelector("a")));
  const cells = rows.flat().filter(Boolean);
  const home = document.title;
  let last = cells[0];

  const enter = (cell) => {
    if (!cell) return;
    cells.forEach((other) => { other.tabIndex = other === cell ? 0 : -1; });
    last = cell;
    cell.focus();
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const near = (cell, down, right) => {
    const row = rows.findIndex((cells) => cells.includes(cell));
    let [y, x] = [row + down, rows[row].indexOf(cell) + right];
    while (rows[y] && x >= 0 && x < rows[y].length) {
      if (rows[y][x]) return rows[y][x];
      [y, x] = [y + down, x + right];
    }
    return null;
  };
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  main.addEventListener("keydown", (event) => {
    const cell = event.target.closest("a.pill");
    if (!cell || event.ctrlKey || event.altKey || event.metaKey) return;
    const row = rows.find((cells) => cells.includes(cell)).filter(Boolean);
    if (moves[event.key]) enter(near(cell, ...moves[event.key]));
    else if (event.key === "Home") enter(row[0]);
    else if (event.key === "End") enter(row[row.length - 1]);
    else if (event.key === "Enter" || event.key === " ") location.hash = cell.hash;
    else return;
    event.preventDefault();
  });
  main.addEventListener("focusin", (event) => {
    const cell = event.target.closest("a.pill");
    if (cell) last = cell;
  });
  if (!many) return;

  const story = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest(".story");
  const show = () => {
    const open = story();
    main.inert = Boolean(open);
    document.documentElement.style.overflow = open ? "hidden" : "";
    document.title = open ? `${open.querySelector("h2").textContent} | ${home}` : home;
    if (open) {
      last = cells.find((cell) => cell.hash === location.hash) ?? last;
      open.scrollTop = 0;
      open.querySelector(".back").focus();
    } else if (last && location.hash) {
      enter(last);
    }
  };
  document.addEventListener("keydown", (event) => {
    const open = story();
    if (!open) return;
    if (event.key === "Escape") {
      location.hash = "matrix";
      event.preventDefault();
    } else if (event.key === "Tab") {
      // Focus stays in the story.
      const stops = [...open.querySelectorAll("a[href], [tabindex='0']")];
      const [first, end] = [stops[0], stops[stops.length - 1]];
      const leaves = event.shiftKey ? document.activeElement === first || document.activeElement === open : document.activeElement === end;
      if (leaves) {
        (event.shiftKey ? end : first).focus();
        event.preventDefault();
      }
    }
  });
  window.addEventListener("hashchange", show);
  show();
})();
