/* The tools above the panels, and the panels themselves. */

const LIMITS = { full: "full range", percentile: "sky to 99.8 %", zscale: "ZScale", minmax: "minimum to maximum" };
const ICONS = {
  in: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  out: "M5 11h14v2H5z",
  reset: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z",
  flip: "M12 3l4 5h-3v8h3l-4 5-4-5h3V8H8z",
  save: "M11 3h2v9l3-3 1.4 1.4L12 15.8l-5.4-5.4L8 9l3 3zM4 18h16v2H4z",
  screen: "M3 3h7v2H6.4l4 4L9 10.4l-4-4V10H3zM14 3h7v7h-2V6.4l-4 4L13.6 9l4-4H14zM9 13.6 10.4 15l-4 4H10v2H3v-7h2v3.6zM15 13.6l4 4V14h2v7h-7v-2h3.6l-4-4z",
};

function buildTools(viewer) {
  const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  const button = (name, title) => `<button type="button" data-do="${name}" title="${title}" aria-label="${title}">${icon(name)}</button>`;
  const options = (choices) => Object.entries(choices).map(([value, text]) => `<option value="${value}">${text}</option>`).join("");
  viewer.root.innerHTML = `
    <div class="iv-tools" role="toolbar" aria-label="How the images are shown">
      <span class="iv-modes" role="group" aria-label="Layout">${Object.entries(MODES).map(([mode, text]) => `<button type="button" data-mode="${mode}" aria-pressed="false">${text}</button>`).join("")}</span>
      <label>Stretch <select data-look="curve">${options(CURVES)}</select></label>
      <label>Limits <select data-look="limits"></select></label>
      <label>Contrast <input type="range" data-look="contrast" min="-3" max="5" step="0.1" aria-valuetext=""><output></output></label>
      <label><input type="checkbox" data-look="invert"> Invert</label>
      <span class="iv-buttons">${button("in", "Zoom in (+)")}${button("out", "Zoom out (-)")}${button("reset", "Whole image (double click, or 0)")}${button("flip", "Turn upside down: FITS counts rows from below")}${button("save", "Save what you see as PNG")}${button("screen", "Full screen")}</span>
    </div>
    <div class="iv-panels"></div>
    <div class="iv-foot"><output class="iv-values"></output><span class="iv-legend" role="group" aria-label="Detections"></span></div>`;
  viewer.box = viewer.root.querySelector(".iv-panels");
  viewer.values = viewer.root.querySelector(".iv-values");
  const tools = viewer.root.querySelector(".iv-tools");
  tools.addEventListener("click", (event) => {
    const { mode, do: action } = event.target.closest("button")?.dataset ?? {};
    if (mode) setMode(viewer, mode);
    const actions = {
      in: () => viewer.zoomBy(ZOOM_STEP),
      out: () => viewer.zoomBy(1 / ZOOM_STEP),
      reset: () => viewer.reset(),
      flip: () => { viewer.flip = !viewer.flip; fillTools(viewer); viewer.redraw(); },
      save: () => save(viewer),
      screen: () => (document.fullscreenElement ? document.exitFullscreen() : viewer.root.requestFullscreen?.()),
    };
    actions[action]?.();
  });
  tools.addEventListener("input", (event) => {
    const { look } = event.target.dataset;
    if (!look) return;
    viewer.look[look] = { contrast: (input) => 2 ** Number(input.value), invert: (input) => input.checked }[look]?.(event.target) ?? event.target.value;
    viewer.restretch();
  });
  viewer.root.querySelector(".iv-legend").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.mark;
    if (!name) return;
    viewer.shown[name] = !viewer.shown[name];
    fillTools(viewer);
    viewer.redraw();
  });
}

/** Bring the tools in line with what is shown. */
function fillTools(viewer) {
  const { root, message, look } = viewer, limits = root.querySelector("[data-look=limits]");
  const names = Object.keys(message.limits);
  if (limits.dataset.names !== names.join()) {
    limits.dataset.names = names.join();
    limits.replaceChildren(...names.map((name) => new Option(LIMITS[name], name)));
  }
  limits.value = look.limits;
  root.querySelector("[data-look=curve]").value = look.curve;
  root.querySelector("[data-look=invert]").checked = look.invert;
  const contrast = root.querySelector("[data-look=contrast]");
  contrast.value = Math.log2(look.contrast);
  contrast.setAttribute("aria-valuetext", `${digits(look.contrast)} times`);
  contrast.nextElementSibling.textContent = `${look.contrast.toFixed(look.contrast < 10 ? 1 : 0)} x`;
  root.querySelectorAll("[data-mode]").forEach((one) => one.setAttribute("aria-pressed", one.dataset.mode === viewer.mode));
  root.querySelector("[data-do=flip]").setAttribute("aria-pressed", viewer.flip);
  const legend = root.querySelector(".iv-legend");
  legend.replaceChildren(...MARKS.filter(([name]) => message[name]).map(([name, text, colour]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.mark = name;
    button.title = message.mark_titles[name];
    button.setAttribute("aria-pressed", viewer.shown[name]);
    button.innerHTML = `<i style="border-color:${colour}"${name === "lost" ? ' class="dashed"' : ""}></i>`;
    button.append(`${message[name].length / 3} ${text}`);
    return button;
  }));
  viewer.objects?.fillLegend(legend);
}

function setMode(viewer, mode) {
  if (viewer.message.single) return;
  viewer.mode = mode;
  fillTools(viewer);
  viewer.arrange();
}

function buildPanel(viewer, name) {
  const element = document.createElement("div");
  element.className = `iv-panel iv-${name}`;
  element.innerHTML = `<canvas tabindex="0" role="img"></canvas><span class="iv-title"></span>`;
  const panel = { name, element, canvas: element.querySelector("canvas"), title: element.querySelector(".iv-title") };
  if (name === "compare") {
    element.insertAdjacentHTML("beforeend", `<span class="iv-title iv-second"></span>
      <div class="iv-divider" role="slider" tabindex="0" aria-label="Before to the left, after to the right of this line" aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="100"><i></i></div>`);
    panel.second = element.querySelector(".iv-second");
    panel.divider = element.querySelector(".iv-divider");
    listenToDivider(viewer, panel);
  }
  if (name === "residual" || name === "uncertainty") {
    element.insertAdjacentHTML("beforeend", `<span class="iv-scale"></span>`);
    panel.scale = element.querySelector(".iv-scale");
  }
  viewer.box.appendChild(element);
  panel.canvas.style.touchAction = "pan-y";
  listenTo(viewer, panel);
  return panel;
}

/** All panels side by side with their titles, as one PNG. */
function save(viewer) {
  const { panels } = viewer, gap = 12, head = 40;
  const height = Math.max(...panels.map((panel) => panel.canvas.height));
  const sheet = document.createElement("canvas");
  sheet.width = panels.reduce((sum, panel) => sum + panel.canvas.width + gap, gap);
  sheet.height = height + head + gap;
  const context = sheet.getContext("2d");
  context.fillStyle = viewer.look.invert ? "#fff" : "#0b0e17";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.fillStyle = viewer.look.invert ? "#20242e" : "#e4e7ee";
  context.font = "20px sans-serif";
  let left = gap;
  for (const panel of panels) {
    context.fillText(viewer.titleOf(panel.name), left, 27, panel.canvas.width);
    context.drawImage(panel.canvas, left, head);
    if (panel.divider) context.fillRect(left + viewer.divider * panel.canvas.width - 1, head, 2, panel.canvas.height);
    left += panel.canvas.width + gap;
  }
  sheet.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${viewer.message.stem}_view.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
