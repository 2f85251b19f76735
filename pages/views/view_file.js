/* A view in one file: what component.js asks the server for in the app is answered here, from what the file holds. */

const blockOf = (id) => Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
const find = (selector) => document.querySelector(selector);
const VIEW = JSON.parse(find("#atlas-view").textContent), FACTS = unpack(blockOf("atlas-facts"));
const PICTURES = new Map(Object.entries(VIEW.pictures).map(([row, src]) => [Number(row), src]));
const MARKS = unpack(blockOf("atlas-marks")), SAVED = { ...MARKS }, CARD = find("#card"), SAVED_CARD = CARD.innerHTML;
const SHOWN = 200;
let opened = VIEW.open, chosen = null;

/** Place of a galaxy among those the file knows, -1 where it is not one of them. */
function placeOfRow(row) {
  let low = 0, high = FACTS.row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    FACTS.row[middle] < row ? (low = middle + 1) : (high = middle);
  }
  return FACTS.row[low] === row ? low : -1;
}

const idOf = (row) => FACTS.ids[placeOfRow(row)] ?? `row ${row}`;
const floats = (array) => (array.floats ??= new Float32Array(array.buffer, array.byteOffset, array.length));

/** Names and values of a galaxy, as many as are known. */
function factsOf(row) {
  const k = placeOfRow(row), facts = [];
  for (const column of k < 0 ? [] : FACTS.columns) {
    const values = FACTS[column.values];
    if (column.kind === "group") {
      const name = column.names[values[k]];
      if (name === undefined) continue;
      const share = column.membership && column.member[values[k]] ? `, membership ${floats(FACTS[column.membership])[k].toFixed(2)}` : "";
      facts.push([column.name, name + share]);
    } else if (column.kind === "place") {
      if (values[k] === 0xffffffff) continue;
      const dec = FACTS[column.more][k] / 1e7 - 90;
      facts.push([column.name, `${(values[k] / 1e7).toFixed(5)}°, ${dec < 0 ? "−" : "+"}${Math.abs(dec).toFixed(5)}°`]);
    } else if (Number.isFinite(floats(values)[k])) {
      const value = floats(values)[k] * column.factor;
      const text = column.whole ? Math.floor(value) : Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
      facts.push([column.name, column.before + text + column.after]);
    }
  }
  return facts;
}

/** In the app this goes to the server, which answers through a channel. */
function send(group, role, event) {
  for (const map of HUB.maps.values()) {
    if (role === "hover") {
      takeTip(map, { row: event.row, id: idOf(event.row), lines: factsOf(event.row).slice(0, 3).map(([name, value]) => (name === "Class" ? value : `${name}: ${value}`)), src: PICTURES.get(event.row) || "" });
    }
  }
}

function askForView(map, { stamp, covers, pictures, ...part }) {
  takeDetail(map, { stamp, covers, pictures: pictures ? picturesIn(map, part) : [], note: "" });
}

const addressNow = () => VIEW.address, keepInAddress = () => undefined;

function queue(group, event) {
  if (event.kind === "open") openCard(event.row);
  else if (event.kind === "clear") choose(null);
  else if (event.kind === "outline") outline(event);
  else if (event.key === "ArrowRight" || event.key === "ArrowLeft") step(event.key === "ArrowRight" ? 1 : -1);
}

/** Pictures of the file that lie in a part of a map and do not overlap. */
function picturesIn(map, { extent: [x0, x1, y0, y1], spacing }) {
  const taken = [];
  for (const [row, src] of PICTURES) {
    const place = map.placeOf(row);
    if (!place || place[0] < x0 || place[0] > x1 || place[1] < y0 || place[1] > y1 || taken.length === 60) continue;
    if (taken.every(({ x, y }) => Math.max(Math.abs(x - place[0]), Math.abs(y - place[1])) >= spacing)) {
      taken.push({ row, id: idOf(row), x: place[0], y: place[1], src });
    }
  }
  return taken;
}

/** The card of a galaxy: as it was saved for the one that was open, from the file's table for any other. */
function openCard(row) {
  opened = row;
  MARKS.open = { row, places: {} };
  if (row === VIEW.open) CARD.innerHTML = SAVED_CARD;
  else {
    const list = (facts) => `<dl class="facts">${facts.map(([name, value]) => `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`).join("")}</dl>`;
    const src = PICTURES.get(row), id = escapeText(idOf(row)), more = VIEW.more.rows[row];
    const picture = src ? `<img class="galaxy-image" width="256" height="256" alt="galaxy ${id}" src="${src}">` : '<p class="no-picture">Its picture is not in this file.</p>';
    CARD.innerHTML = `<h2>${id}</h2><div class="card-top"><div class="card-picture">${picture}</div>${list(factsOf(row))}</div>`
      + (more ? `<details><summary>The rest of its row in the catalog</summary>${list(VIEW.more.names.map((name, k) => [name, more[k]]))}</details>` : "");
  }
  markButtons();
}

function markButtons() {
  for (const button of document.querySelectorAll(".picture-grid button")) {
    Number(button.dataset.row) === opened ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current");
  }
}

/** Open a galaxy that was clicked beside the maps. */
function openFrom(row) {
  const map = [...HUB.maps.values()][0];
  map ? openGalaxy(map, row, null) : openCard(row);
}

const isChosen = (bits, row) => (bits[row >> 3] >> (row & 7)) & 1;

/** The next or the previous galaxy: of the selection where there is one, else of all. */
function step(by) {
  const bits = MARKS.bits.length ? MARKS.bits : null, rows = bits ? FACTS.row.filter((row) => isChosen(bits, row)) : FACTS.row;
  if (!rows.length) return;
  const place = opened === null ? -1 : rows.findIndex((row) => (by > 0 ? row > opened : row >= opened));
  const next = by > 0 ? (place < 0 ? 0 : place) : (place <= 0 ? rows.length : place) - 1;
  openFrom(rows[next]);
}

/** Galaxies inside an outline, of those on the map. */
function outline({ projection, mode, x, y }) {
  const map = [...HUB.maps.values()].find((one) => one.message.projection === projection);
  if (map.message.sampled) return map.say(VIEW.sampled);
  const bits = new Uint8Array(Math.ceil(VIEW.total / 8)), before = MARKS.bits, { points } = map;
  for (let i = 0; i < points.n; i++) {
    if (!map.hidden.has(points.codes[i]) && isInside(points.x[i], points.y[i], x, y)) bits[points.rows[i] >> 3] |= 1 << (points.rows[i] & 7);
  }
  if (before.length && mode !== "new") {
    const ways = { add: (a, b) => a | b, subtract: (a, b) => a & ~b, intersect: (a, b) => a & b };
    bits.forEach((byte, k) => { bits[k] = ways[mode](before[k], byte); });
  }
  choose(bits);
}

function isInside(px, py, x, y) {
  let inside = false;
  for (let i = 0, j = x.length - 1; i < x.length; j = i++) {
    if (y[i] > py !== y[j] > py && px < ((x[j] - x[i]) * (py - y[i])) / (y[j] - y[i]) + x[i]) inside = !inside;
  }
  return inside;
}

/** Show another selection than the saved one; null for none. */
function choose(bits, saved = false) {
  chosen = bits && FACTS.row.filter((row) => isChosen(bits, row));
  MARKS.bits = bits || new Uint8Array(0);
  MARKS.extents = saved ? SAVED.extents : {};
  MARKS.outlines = saved ? SAVED.outlines : [];
  for (const map of chosen && chosen.length && !saved ? HUB.maps.values() : []) {
    const x = [], y = [];
    map.points.rows.forEach((row, i) => { if (isChosen(bits, row)) { x.push(map.points.x[i]); y.push(map.points.y[i]); } });
    const ends = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    MARKS.extents[map.message.projection] = [...ends(x), ...ends(y)];
  }
  MARKS.open = opened === null ? null : { row: opened, places: {} };
  for (const map of HUB.maps.values()) map.applyMarks(MARKS);
  find("#selection-saved").hidden = !saved;
  find("#selection-here").hidden = saved;
  if (!saved) drawChosen();
}

function drawChosen() {
  const n = chosen ? chosen.length : 0, rows = Array.from((chosen || []).slice(0, SHOWN)), share = (100 * n) / VIEW.total;
  find("#chosen-count").textContent = chosen ? `${n.toLocaleString("en")} ${n === 1 ? "galaxy" : "galaxies"}, ${Number(share.toPrecision(3))} % of the catalog` : "Nothing is selected.";
  find("#chosen-note").textContent = chosen ? `Outlined in this file${n > SHOWN ? `; the first ${SHOWN} are shown` : ""}. Pictures are there as far as the file holds them.` : "";
  find("#save-ids").hidden = !n;
  find("#chosen").innerHTML = rows.map((row) => {
    const id = escapeText(idOf(row)), src = PICTURES.get(row);
    return `<button type="button" data-row="${row}" title="${id}">${src ? `<img alt="galaxy ${id}" src="${src}">` : `<span class="no-picture">${id}</span>`}</button>`;
  }).join("");
  markButtons();
}

function saveIds() {
  const quoted = (id) => (/[",\n\r]/.test(id) ? `"${id.replace(/"/g, '""')}"` : id);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([["galaxy_id", ...Array.from(chosen, (row) => quoted(idOf(row)))].join("\n") + "\n"], { type: "text/csv" }));
  link.download = VIEW.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

for (const image of document.querySelectorAll("[data-row] img")) {
  const row = Number(image.closest("[data-row]").dataset.row);
  if (!PICTURES.has(row)) PICTURES.set(row, image.src);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest(".picture-grid [data-row]");
  if (button) openFrom(Number(button.dataset.row));
});
find("#back-to-saved").onclick = () => choose(SAVED.bits.length ? SAVED.bits : null, true);
find("#save-ids").onclick = saveIds;
HUB.marks.set(MARKS.group, MARKS);
for (const place of document.querySelectorAll(".map-place")) {
  const root = document.createElement("div"), message = unpack(blockOf(place.dataset.message));
  root.className = "atlas-map";
  place.appendChild(root);
  new GalaxyMap(root).show(message);
  if (message.sampled) place.classList.add("sampled");
}
markButtons();
