/* The tools above a map, its legend below, and the picture of it to take away. */

const ICONS = {
  pan: "M12 2l3 3h-2v6h6V9l3 3-3 3v-2h-6v6h2l-3 3-3-3h2v-6H5v2l-3-3 3-3v2h6V5H9z",
  box: "M3 3h4v2H5v2H3zM17 3h4v4h-2V5h-2zM3 17h2v2h2v2H3zM19 17h2v4h-4v-2h2zM10 3h4v2h-4zM10 19h4v2h-4zM3 10h2v4H3zM19 10h2v4h-2z",
  lasso: "M12 3C6.5 3 2 6 2 10c0 2.500 1.700 4.600 4.400 5.800C6.100 16.500 6 17.200 6 18c0 1.700.8 3 2 4l1.300-1.500C8.500 19.900 8 19 8 18c0-.5.1-1 .2-1.500 1.200.3 2.500.5 3.800.5 5.500 0 10-3 10-7s-4.500-7-10-7zm0 12c-4.400 0-8-2.200-8-5s3.600-5 8-5 8 2.200 8 5-3.600 5-8 5z",
  fit: "M3 3h7v2H6.400l4 4L9 10.400l-4-4V10H3zM14 3h7v7h-2V6.400l-4 4L13.600 9l4-4H14zM9 13.600l1.400 1.400-4 4H10v2H3v-7h2v3.600zM15 13.600l4 4V14h2v7h-7v-2h3.600l-4-4z",
  selection: "M9 4a5 5 0 104 8l5.300 5.300 1.400-1.400L14.300 10.600A5 5 0 009 4zm0 2a3 3 0 110 6 3 3 0 010-6z",
  pictures: "M3 4h8v7H3zM13 4h8v7h-8zM3 13h8v7H3zM13 13h8v7h-8zM5 6v3h4V6zM15 6v3h4V6zM5 15v3h4v-3zM15 15v3h4v-3z",
  undo: "M8 4v4h6a6 6 0 010 12H6v-2h8a4 4 0 000-8H8v4L3 9z",
  redo: "M16 4v4h-6a6 6 0 000 12h8v-2h-8a4 4 0 010-8h6v4l5-5z",
  save: "M11 3h2v9l3.500-3.500 1.400 1.400L12 15.800 6.100 9.900l1.400-1.400L11 12zM4 18h16v2H4z",
};
const TOOLS = [["pan", "Move the map: drag (P). Wheel or pinch to zoom."], ["box", "Select with a box (B)"], ["lasso", "Select with a lasso (L, or hold Shift and drag)"]];
const MODES = [["new", "New"], ["add", "Add"], ["subtract", "Subtract"], ["intersect", "Intersect"]];
const HISTORY = [["undo", "Undo the last step of selecting or filtering. Ctrl+Z undoes what you did last, tags too."],
  ["redo", "Redo the last step of selecting or filtering. Ctrl+Shift+Z redoes tags, too."]];
const ACTIONS = [["fit", "Show the whole map (0)"], ["selection", "Zoom to the selection"], ["pictures", "Pictures in the map"], ["save", "Save the map as PNG"]];

function buildTools(map) {
  const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path fill-rule="evenodd" d="${ICONS[name]}"/></svg>`;
  const button = ([name, title]) => `<button type="button" data-tool="${name}" title="${title}" aria-label="${title}">${icon(name)}</button>`;
  const modes = MODES.map(([value, name]) => `<option value="${value}">${name}</option>`).join("");
  map.find(".atlas-tools").innerHTML = `${TOOLS.map(button).join("")}
    <select title="What the next outline does to the selection" aria-label="Selection mode" hidden>${modes}</select>
    <span></span>${HISTORY.map(button).join("")}${ACTIONS.map(button).join("")}`;
  const doing = {
    fit: () => map.fit(),
    selection: () => map.chosenExtent && map.zoomTo(map.chosenExtent),
    pictures: () => togglePictures(),
    save: () => savePicture(map),
    undo: () => queue(map.message.group, { kind: "undo" }),
    redo: () => queue(map.message.group, { kind: "redo" }),
  };
  map.find(".atlas-tools").onclick = (event) => {
    const name = event.target.closest("button")?.dataset.tool;
    if (!name || !map.message) return;
    doing[name] ? doing[name]() : setTool(map, name);
  };
  map.find(".atlas-tools select").onchange = (event) => { map.mode = event.target.value; };
  map.find('[data-tool="selection"]').disabled = true;
  for (const [name] of HISTORY) map.find(`[data-tool="${name}"]`).hidden = true;
  setTool(map, "pan");
}

function setTool(map, tool) {
  map.tool = tool;
  for (const [name] of TOOLS) map.find(`[data-tool="${name}"]`).setAttribute("aria-pressed", String(name === tool));
  map.find(".atlas-tools select").hidden = tool === "pan";
  map.paper.style.cursor = tool === "pan" ? "grab" : "crosshair";
}

/** Pictures on every map of the page, or on none. */
function togglePictures() {
  HUB.pictures = !HUB.pictures;
  for (const map of HUB.maps.values()) {
    map.find('[data-tool="pictures"]').setAttribute("aria-pressed", String(HUB.pictures));
    if (HUB.pictures) askForDetail(map, 0);
    else drawPictures(map);
  }
}

/** Groups with their colours; a click hides or shows one. Numbers get a bar between their limits. */
function drawLegend(map) {
  const { legend, scale, colours, nothing, n_nothing: without } = map.message, box = map.find(".atlas-legend");
  const rest = without ? [{ name: nothing, count: without, code: colours.length - 1 }] : [];
  const entries = [...(scale ? [] : legend.map((entry, code) => ({ ...entry, code }))), ...rest];
  const bar = scale ? `<span class="atlas-scale"><span>${escapeText(scale.label)}</span><span class="atlas-ends"><span>${scale.low_text}</span>
    <i style="background:linear-gradient(to right, ${colours.slice(0, -1).filter((_, k) => k % 16 === 0).join(",")})"></i>
    <span>${scale.high_text}${scale.log ? " (log)" : ""}</span></span></span>` : "";
  box.innerHTML = bar + entries.map(({ name, count, code }) => `<button type="button" data-code="${code}"
    title="${escapeText(name)}: ${count.toLocaleString("en")} galaxies; click to hide or show"><i style="background:${colours[code]}"></i>${escapeText(name)}</button>`).join("");
  const paintHidden = () => box.querySelectorAll("button").forEach((b) =>
    b.setAttribute("aria-pressed", String(!b.classList.toggle("off", map.hidden.has(Number(b.dataset.code))))));
  box.onclick = (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const code = Number(button.dataset.code);
    map.hidden.has(code) ? map.hidden.delete(code) : map.hidden.add(code);
    paintHidden();
    map.changed();
  };
  paintHidden();
}

/** What was hidden is hidden still where groups have changed their places: tags do, by how often they are used. */
function hiddenByName(hidden, before, now) {
  const placeOf = (code) => code === before.colours.length - 1 ? now.colours.length - 1
    : now.legend.findIndex(({ name }) => name === before.legend[code]?.name);
  return new Set([...hidden].map(placeOf).filter((code) => code >= 0));
}

/** The map as PNG at twice the size, with title, marks, legend and where it comes from. */
function savePicture(map) {
  const canvas = document.createElement("canvas"), width = 2000, line = 44, box = map.sheet;
  const height = Math.round((width * box.height) / box.width), shrink = width / box.width, { message } = map;
  const sheet = makePaper(canvas, width, height), ratio = map.ratio * shrink, { view, sheet: screen } = map;
  map.view = { ...view, scale: view.scale * shrink };
  map.sheet = sheet;
  map.paint(sheet, ratio);
  const marks = document.createElement("canvas");
  [marks.width, marks.height] = [width, height];
  map.paintMarks(marks.getContext("2d"), ratio);
  const pictures = (HUB.pictures ? map.pictures || [] : []).map((picture) => map.toPaper(picture.x, picture.y));
  [map.view, map.sheet] = [view, screen];
  sheet.context.putImageData(sheet.image, 0, 0);
  const page = document.createElement("canvas");
  const groups = [...(message.scale ? [] : message.legend.map(({ name }, code) => [name, message.colours[code], code])),
    ...(message.n_nothing ? [[message.nothing, message.colours.at(-1), message.colours.length - 1]] : [])];
  const isHidden = ([, , code]) => map.hidden.has(code), hidden = groups.filter(isHidden).map(([name]) => name);
  const entries = message.scale ? [] : groups.filter((group) => !isHidden(group));
  const lines = Math.max(1, Math.ceil(entries.length / 5));
  [page.width, page.height] = [width, height + line * (3 + lines)];
  const context = page.getContext("2d");
  context.fillStyle = message.background;
  context.fillRect(0, 0, page.width, page.height);
  context.drawImage(canvas, 0, 2 * line);
  map.find(".atlas-pictures").querySelectorAll("img").forEach((image, k) => {
    const side = PICTURE_PX * ratio, place = pictures[k];
    if (place) context.drawImage(image, place[0] - side / 2, place[1] - side / 2 + 2 * line, side, side);
  });
  context.drawImage(marks, 0, 2 * line);
  context.fillStyle = message.ink;
  context.font = "bold 36px sans-serif";
  context.fillText(message.title + (hidden.length ? `; hidden: ${hidden.join(", ")}` : ""), 30, 56, width - 60);
  context.font = "26px sans-serif";
  entries.forEach(([name, colour], k) => {
    const x = 30 + (k % 5) * (width / 5), y = height + 2 * line + 34 + Math.floor(k / 5) * line;
    context.fillStyle = colour;
    context.fillRect(x, y - 20, 22, 22);
    context.fillStyle = message.ink;
    context.fillText(name, x + 34, y, width / 5 - 50);
  });
  if (message.scale) saveScale(context, message, width, height + 2 * line + 34);
  context.font = "22px sans-serif";
  context.fillText(message.source, 30, page.height - 16, width - 60);
  page.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${message.file}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}

function saveScale(context, { scale, colours }, width, y) {
  context.fillText(`${scale.label}:  ${scale.low_text}`, 30, y, width / 2);
  const left = width / 2 + 60, length = 500;
  colours.slice(0, -1).forEach((colour, k, all) => {
    context.fillStyle = colour;
    context.fillRect(left + (k * length) / all.length, y - 20, length / all.length + 1, 22);
  });
  context.fillStyle = colours.at(-1);
  context.fillText(`${scale.high_text}${scale.log ? " (log)" : ""}`, left + length + 20, y);
}
