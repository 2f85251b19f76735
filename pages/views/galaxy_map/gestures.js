/* Mouse, fingers and keys on a map. */

const CLICK_PX = 4, HIT_PX = 9, HOVER_MS = 90;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }; // with Shift, a tenth of the paper
const KEYS_FOR_SERVER = new Set(["ArrowLeft", "ArrowRight", "u", ..."123456789"]);

function listen(map) {
  const paper = map.paper, fingers = new Map();
  let start = null, hoverTimer = 0;
  const at = (event) => {
    const box = paper.getBoundingClientRect();
    return [(event.clientX - box.left) * map.ratio, (event.clientY - box.top) * map.ratio];
  };
  const ready = () => map.message && map.view;

  paper.addEventListener("wheel", (event) => {
    if (!ready()) return;
    event.preventDefault();
    map.zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) * 0.003), ...at(event));
  }, { passive: false });

  paper.addEventListener("pointerdown", (event) => {
    if (!ready() || event.button > 0 || event.target.closest(".atlas-picture")) return;
    clearTimeout(hoverTimer); // whoever clicks waits for the card, not for the picture under the mouse
    paper.focus({ preventScroll: true });
    paper.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    const tool = event.shiftKey && map.tool === "pan" ? "lasso" : map.tool;
    start = { at: at(event), view: { ...map.view }, tool, moved: false, finger: event.pointerType === "touch" };
    if (fingers.size > 1) { map.drawing = null; start.moved = true; }
  });

  paper.addEventListener("pointermove", (event) => {
    if (!ready()) return;
    const here = at(event);
    if (!start) return hover(event, here);
    const before = [...fingers.values()].map((finger) => [...finger]);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, here);
    if (fingers.size > 1) return fingers.size === 2 ? pinch(map, before, [...fingers.values()]) : undefined;
    if (!start.moved && Math.hypot(here[0] - start.at[0], here[1] - start.at[1]) < CLICK_PX * map.ratio) return;
    start.moved = true;
    hideTip(map);
    if (start.tool === "pan") {
      const { scale } = map.view;
      map.view = { scale, x: start.view.x - (here[0] - start.at[0]) / scale, y: start.view.y + (here[1] - start.at[1]) / scale };
      map.changed();
    } else {
      map.drawing = outlineOf(map, start, here);
      map.drawMarks();
    }
  });

  const finish = (event) => {
    fingers.delete(event.pointerId);
    if (!start) return;
    if (fingers.size) { // the finger that stays after a pinch moves the map on from where it is, and draws nothing
      start = { ...start, at: [...fingers.values()][0], view: { ...map.view }, tool: "pan" };
      return;
    }
    const { moved, finger } = start, drawn = map.drawing;
    start = map.drawing = null;
    if (event.type === "pointercancel") return map.draw();
    if (drawn) return sendOutline(map, drawn);
    if (moved) return;
    if (finger) hoverAt(map, null);
    else hideTip(map); // its picture is not asked for any more, and the card shows more
    click(map, event, at(event), finger);
  };
  paper.addEventListener("pointerup", finish);
  paper.addEventListener("pointercancel", finish);
  paper.addEventListener("dblclick", () => ready() && map.fit());
  paper.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return; // a finger leaves with every tap
    clearTimeout(hoverTimer);
    hoverAt(map, null);
  });
  paper.addEventListener("keydown", (event) => ready() && onKey(map, event));

  function hover(event, [px, py]) {
    if (event.pointerType === "touch") return;
    const points = map.shownPoints(), [x, y] = map.toMap(px, py);
    const over = event.target.closest(".atlas-picture");
    const i = over ? -1 : nearestPoint(points, x, y, (HIT_PX * map.ratio) / map.view.scale, map.hidden);
    const row = over ? Number(over.dataset.row) : i < 0 ? null : points.rows[i];
    paper.style.cursor = row !== null ? "pointer" : map.tool === "pan" ? "grab" : "crosshair";
    map.tipAt = [event.clientX, event.clientY];
    if (row === map.hoverRow) return;
    hoverAt(map, row, i < 0 ? "" : groupOf(map, points.codes[i]));
    clearTimeout(hoverTimer);
    if (row !== null && !map.tips?.has(row)) {
      hoverTimer = setTimeout(() => send(map.message.group, "hover", { row, map: map.message.id }), HOVER_MS);
    }
  }
}

/** Zoom and move so that what was under two fingers stays under them. */
function pinch(map, [a, b], [c, d]) {
  const spread = (p, q) => Math.max(1, Math.hypot(p[0] - q[0], p[1] - q[1])), middle = (p, q) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
  const [ox, oy] = middle(a, b), [nx, ny] = middle(c, d);
  map.view.x -= (nx - ox) / map.view.scale;
  map.view.y += (ny - oy) / map.view.scale;
  map.zoomBy(spread(c, d) / spread(a, b), nx, ny);
}

/** The outline drawn so far, in the units of the map. */
function outlineOf(map, start, here) {
  const [x, y] = map.toMap(...here), [x0, y0] = map.toMap(...start.at);
  if (start.tool === "box") {
    return { kind: "box", x: [x0, x, x, x0], y: [y0, y0, y, y] };
  }
  const drawn = map.drawing || { kind: "lasso", x: [x0], y: [y0] };
  drawn.x.push(x);
  drawn.y.push(y);
  return drawn;
}

function sendOutline(map, outline) {
  map.draw();
  if (outline.x.length < 3) return;
  const { id, group, projection, stamp } = map.message;
  queue(group, { kind: "outline", mode: map.mode, projection, x: outline.x, y: outline.y, map: id, stamp, hidden: [...map.hidden] });
}

/** A finger hides the point it taps, and on a phone the card is below the screen: what was opened is shown on the map. */
function click(map, event, [px, py], finger) {
  const points = map.shownPoints(), [x, y] = map.toMap(px, py);
  const i = nearestPoint(points, x, y, ((finger ? 2 : 1) * HIT_PX * map.ratio) / map.view.scale, map.hidden);
  if (i < 0) return;
  const row = points.rows[i], isOpen = map.openRow === row;
  openGalaxy(map, row, [points.x[i], points.y[i]]);
  if (!finger) return;
  map.tipAt = [event.clientX, event.clientY];
  hoverAt(map, row, groupOf(map, points.codes[i]));
  map.tipWanted = row;
  if (isOpen) setTimeout(() => askForTip(map), HOVER_MS);
}

/** Of two events that come at once Streamlit answers one: a tip is asked for when its galaxy is known to be open. */
function askForTip(map) {
  if (map.tipWanted == null || map.tipWanted !== map.openRow) return;
  send(map.message.group, "hover", { row: map.tipWanted, map: map.message.id });
  map.tipWanted = null;
}

/** Where more of the open galaxy is, in words; nothing where that is on the screen, or nowhere. */
function wordsOfCard() {
  const card = document.querySelector(".st-key-card-area, #card");
  return card && card.getBoundingClientRect().top > innerHeight - 100 ? "More of it is below the map." : "";
}

/** Ring it at once; the card follows when the server has answered. */
function openGalaxy(map, row, place) {
  for (const other of HUB.maps.values()) {
    if (other.message.group !== map.message.group) continue;
    other.openRow = row;
    other.openPlace = other === map ? place : null;
    other.drawMarks();
  }
  const marks = HUB.marks.get(map.message.group); // a map that is drawn anew before the answer marks it, too
  if (marks) marks.open = { row, places: place ? { [map.message.projection]: place } : {} };
  queue(map.message.group, { kind: "open", row });
}

function onKey(map, event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    const kind = event.shiftKey ? "redo" : "undo";
    if (map.find(`[data-tool="${kind}"]`).hidden) return;
    event.preventDefault();
    return queue(map.message.group, { kind, whatever: true }); // the server knows whether a tag was the last thing done
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // with Caps Lock, too
  const actions = {
    "+": () => map.zoomBy(1.5), "=": () => map.zoomBy(1.5), "-": () => map.zoomBy(1 / 1.5), 0: () => map.fit(),
    p: () => setTool(map, "pan"), b: () => setTool(map, "box"), l: () => setTool(map, "lasso"),
    Escape: () => (map.chosen ? queue(map.message.group, { kind: "clear" }) : setTool(map, "pan")),
  };
  if (event.shiftKey && MOVES[key]) map.moveBy(...MOVES[key]);
  else if (actions[key]) actions[key]();
  else if (KEYS_FOR_SERVER.has(key)) queue(map.message.group, { kind: "key", key });
  else return;
  event.preventDefault();
}

/** The name of a point's group, or its value. */
function groupOf(map, code) {
  const { legend, scale, nothing } = map.message;
  if (code === map.colours.length - 1) return nothing;
  if (!scale) return legend[code].name;
  const share = code / (map.colours.length - 2);
  const value = scale.log ? scale.low * (scale.high / scale.low) ** share : scale.low + share * (scale.high - scale.low);
  const shared = Math.log10(Math.max(Math.abs(scale.low), Math.abs(scale.high)) / (scale.high - scale.low)); // digits
  return `${scale.label}: about ${Number(value.toPrecision(2 + Math.min(13, Math.max(0, Math.floor(shared)))))}`;
}

/** Show what is under the mouse, on this map and as a ring on the others of the page. */
function hoverAt(map, row, group = "") {
  for (const other of HUB.maps.values()) {
    if (other.message.group !== map.message.group || other.hoverRow === row) continue;
    other.hoverRow = row;
    other.drawMarks();
  }
  if (row === null) return hideTip(map);
  map.tipGroup = group;
  showTip(map, row);
}

function showTip(map, row) {
  const tip = map.find(".atlas-tip"), known = map.tips?.get(row), box = map.paper.getBoundingClientRect();
  const picture = known && known.src ? `<img alt="" src="${known.src}">` : '<span class="atlas-wait"></span>';
  const lines = known ? known.lines : map.tipGroup ? [map.tipGroup] : [];
  const more = row === map.openRow && wordsOfCard();
  tip.innerHTML = picture + `<div>${known ? `<b>${escapeText(known.id)}</b>` : ""}${[...lines, ...(more ? [more] : [])].map((l) => `<div>${escapeText(l)}</div>`).join("")}</div>`;
  tip.hidden = false;
  tip.style.left = 0; // where it was decides how wide it can be
  const [x, y, width, height] = [map.tipAt[0] - box.left, map.tipAt[1] - box.top, tip.offsetWidth, tip.offsetHeight];
  const within = (value, room) => Math.max(0, Math.min(room, value)), beside = x > box.width / 2 ? x - width - 14 : x + 14;
  const left = within(beside, box.width - width), after = y > box.height / 2 ? y - height - 24 : y + 24; // no room beside it
  tip.style.left = `${left}px`;
  tip.style.top = `${within(left === beside ? y - height / 2 : after, box.height - height)}px`;
}

function hideTip(map) {
  map.find(".atlas-tip").hidden = true;
}

/** The server's answer about a galaxy under the mouse. */
function takeTip(map, message) {
  map.tips ??= new Map();
  if (map.tips.size > 400) map.tips.clear();
  map.tips.set(message.row, message);
  if (map.hoverRow === message.row && !map.find(".atlas-tip").hidden) showTip(map, message.row);
}
