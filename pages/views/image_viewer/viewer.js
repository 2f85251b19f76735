/* Before and after, residual and uncertainty of one image: panels that zoom and pan together and share one stretch. */

const MAX_ZOOM_PX = 48; // screen pixels an image pixel may be enlarged to
const DETAIL_MS = 250, BLINK_MS = 700;
const MODES = { slider: "Slider", side: "Side by side", blink: "Blink" };
const CURVES = { linear: "linear", asinh: "asinh", log: "log" };
const MARKS = [["kept", "in both", "#56b4e9"], ["gained", "gained", "#2ecc8f"], ["lost", "lost", "#ff7a45"]];
const VIEWERS = (window.galaxyAtlasViewers ??= { all: new Map(), tell: new Map(), regions: new Map() });

class ImageViewer {
  constructor(root) {
    this.root = root;
    this.mode = "slider";
    this.look = { curve: "linear", limits: "", contrast: 1, invert: false };
    this.shown = { kept: false, gained: true, lost: true };
    this.divider = 0.5;
    this.flip = false;
    this.pointer = null;
    this.panels = [];
    buildTools(this);
    this.observer = new ResizeObserver(() => this.redraw());
  }

  /** Show an image; the view and the stretch stay where it is the same image. */
  show(message) {
    const other = !this.message || this.message.stamp !== message.stamp;
    this.message = message;
    this.overview = message;
    this.painted = new Map();
    if (other || this.detail?.right !== message.right) this.detail = null;
    if (other) {
      this.view = { x: message.full_width / 2, y: message.full_height / 2, zoom: 1 };
      this.flip = message.flip;
      this.pointer = null;
      if (!(this.look.limits in message.limits) || this.kind !== message.kind) {
        Object.assign(this.look, { curve: message.curve, limits: Object.keys(message.limits)[0], contrast: 1, invert: false });
      }
      this.kind = message.kind;
    }
    fillTools(this);
    this.arrange();
    this.askForDetail();
  }

  /** Panels of the mode that is chosen. */
  arrange() {
    const { message } = this, first = { slider: ["compare"], side: ["before", "after"], blink: ["blink"] }[this.mode];
    const names = message.single ? ["before"] : [...first, "residual", ...(message.uncertainty ? ["uncertainty"] : [])];
    this.root.dataset.mode = this.mode;
    this.root.dataset.panels = names.length;
    clearInterval(this.blinking);
    if (this.mode === "blink" && !message.single) this.blinking = setInterval(() => { this.second = !this.second; this.redraw(); }, BLINK_MS);
    if (names.join() !== this.panels.map((panel) => panel.name).join()) {
      this.observer.disconnect();
      this.box.replaceChildren();
      this.panels = names.map((name) => buildPanel(this, name));
    }
    this.panels.forEach((panel) => this.observer.observe(panel.element)); // again, where the viewer had left
    for (const panel of this.panels) panel.canvas.setAttribute("aria-label", `${this.titleOf(panel.name)}, ${message.name}`);
    this.redraw();
  }

  titleOf(name) {
    const { titles } = this.message;
    if (name === "compare") return `${titles.before} | ${titles.after}`;
    if (name === "blink") return this.second ? titles.after : titles.before;
    return titles[name];
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      if (this.message) this.panels.forEach((panel) => drawPanel(this, panel));
      if (this.message && !this.pointer) this.readOut();
      this.root.dataset.drawn = `${this.message?.stamp}/${this.view?.zoom.toFixed(3)}`;
    });
  }

  /** Device pixels of an image pixel in a panel. */
  scaleOf(panel) {
    const { full_width, full_height } = this.message;
    return this.view.zoom * Math.min(panel.canvas.width / full_width, panel.canvas.height / full_height);
  }

  /** Place on the image of a place in a panel, and back; both in pixels, from the top left corner. */
  toImage(panel, x, y) {
    const scale = this.scaleOf(panel), up = this.flip ? -1 : 1;
    return [this.view.x + (x - panel.canvas.width / 2) / scale, this.view.y + (up * (y - panel.canvas.height / 2)) / scale];
  }

  toPanel(panel, x, y) {
    const scale = this.scaleOf(panel), up = this.flip ? -1 : 1;
    return [panel.canvas.width / 2 + (x - this.view.x) * scale, panel.canvas.height / 2 + up * (y - this.view.y) * scale];
  }

  zoomBy(factor, panel = this.panels[0], x = panel.canvas.width / 2, y = panel.canvas.height / 2) {
    const [imageX, imageY] = this.toImage(panel, x, y), fit = this.scaleOf(this.panels[0]) / this.view.zoom;
    const most = Math.max((MAX_ZOOM_PX * (window.devicePixelRatio || 1)) / fit, 1);
    this.view.zoom = Math.min(Math.max(this.view.zoom * factor, 1), most);
    const [newX, newY] = this.toImage(panel, x, y);
    this.panTo(this.view.x + imageX - newX, this.view.y + imageY - newY);
  }

  /** Move so that a place is at the centre: the image never leaves the panel. */
  panTo(x, y) {
    const { full_width, full_height } = this.message, panel = this.panels[0], scale = this.scaleOf(panel);
    const keep = (value, length, size) => {
      const half = size / scale / 2;
      return half >= length / 2 ? length / 2 : Math.min(Math.max(value, half), length - half);
    };
    this.view.x = keep(x, full_width, panel.canvas.width);
    this.view.y = keep(y, full_height, panel.canvas.height);
    this.panels.forEach((one) => { one.canvas.style.touchAction = this.view.zoom > 1 ? "none" : "pan-y"; });
    this.readOut();
    this.redraw();
    this.askForDetail();
  }

  reset() {
    this.view.zoom = 1;
    this.panTo(this.message.full_width / 2, this.message.full_height / 2);
  }

  moveDivider(share) {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.redraw();
  }

  restretch() {
    this.painted = new Map();
    fillTools(this);
    this.redraw();
  }

  /** A bitmap of one layer, made when it is first needed after the stretch has changed. */
  bitmap(layer, kind) {
    const key = `${layer === this.detail ? "detail" : "overview"}/${kind}`;
    if (!this.painted.has(key)) this.painted.set(key, paint(layer, kind, this.look, this.message));
    return this.painted.get(key);
  }

  /** Ask for more pixels once the view rests, where the overview has fewer than the screen. */
  askForDetail() {
    clearTimeout(this.resting);
    const { message } = this;
    if (!message || message.factor <= 1) return;
    this.resting = setTimeout(() => {
      const panel = this.panels[0];
      if (!panel || this.scaleOf(panel) * message.factor < 1.2) return;
      const corners = this.panels.flatMap((one) => [this.toImage(one, 0, 0), this.toImage(one, one.canvas.width, one.canvas.height)]);
      const edge = (axis, size, pick) => Math.min(Math.max(Math.round(pick(...corners.map((corner) => corner[axis]))), 0), size);
      const sides = [[0, message.full_width], [1, message.full_height]];
      const seen = [Math.min, Math.max].flatMap((pick) => sides.map(([axis, size]) => edge(axis, size, pick)));
      const { detail } = this, wanted = 1 / this.scaleOf(panel);
      const covered = detail && detail.x0 <= seen[0] && detail.y0 <= seen[1] && detail.x0 + detail.width * detail.factor >= seen[2] - detail.factor
        && detail.y0 + detail.height * detail.factor >= seen[3] - detail.factor && (detail.factor === 1 || detail.factor <= wanted * 1.5);
      if (covered) return;
      const region = { stamp: message.stamp, right: message.right, seen };
      VIEWERS.regions.set(message.id, region);
      VIEWERS.tell.get(message.id)?.("region", region);
    }, DETAIL_MS);
  }

  takeDetail(detail) {
    if (!this.message || detail.stamp !== this.message.stamp || detail.right !== this.message.right) return;
    this.detail = detail;
    for (const key of [...this.painted.keys()]) if (key.startsWith("detail/")) this.painted.delete(key);
    this.root.dataset.detail = [detail.x0, detail.y0, detail.factor].join();
    this.readOut();
    this.redraw();
  }

  /** The values under the pointer, in all panels. */
  readOut() {
    const { message, pointer } = this, said = this.values;
    if (!pointer) { said.textContent = `${message.full_width} x ${message.full_height} px, zoom ${digits(this.scaleOf(this.panels[0]) / (window.devicePixelRatio || 1))}`; return; }
    const [x, y] = pointer.map(Math.floor);
    if (x < 0 || y < 0 || x >= message.full_width || y >= message.full_height) { said.textContent = "outside the image"; return; }
    const parts = [`x ${x + message.first_pixel}, y ${y + message.first_pixel}`];
    if (this.objects) parts.push(...this.objects.placeOf(pointer));
    let factor = 1;
    for (const kind of ["before", "after", "residual", "uncertainty"]) {
      const fine = this.detail && valuesAt(this.detail, kind, x, y, message);
      const values = fine ?? valuesAt(this.overview, kind, x, y, message);
      if (!values) continue;
      factor = fine ? this.detail.factor : this.overview.factor;
      parts.push(`${message.words[kind]} ${values.map(digits).join(" / ")}`);
    }
    said.textContent = `${parts.join(" · ")} ${message.unit}${factor > 1 ? `, mean of ${factor} x ${factor} px` : ""}`;
  }

  leave() {
    this.observer.disconnect();
    clearInterval(this.blinking);
    clearTimeout(this.resting);
    if (VIEWERS.all.get(this.message?.id) === this) VIEWERS.all.delete(this.message.id);
  }
}

/** Draw one panel: what is known of the image, finer where the server has sent more, and the marks. */
function drawPanel(viewer, panel) {
  const box = panel.element.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio), { canvas } = panel;
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), scale = viewer.scaleOf(panel), up = viewer.flip ? -1 : 1;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const edge = Math.round(viewer.divider * width);
  const kinds = { compare: [["before", 0, edge], ["after", edge, width]], blink: [[viewer.second ? "after" : "before", 0, width]] }[panel.name] ?? [[panel.name, 0, width]];
  for (const [kind, left, right] of kinds) {
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    context.setTransform(scale, 0, 0, up * scale, width / 2 - viewer.view.x * scale, height / 2 - up * viewer.view.y * scale);
    for (const layer of [viewer.overview, viewer.detail]) {
      if (!layer || !layer[kind]) continue;
      context.imageSmoothingEnabled = scale * layer.factor < 1; // never when enlarged: pixels stay pixels
      context.drawImage(viewer.bitmap(layer, kind), layer.x0, layer.y0, layer.width * layer.factor, layer.height * layer.factor);
    }
    context.restore();
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (panel.name !== "uncertainty") drawMarks(viewer, panel, context, ratio);
  viewer.objects?.draw(panel, context, ratio);
  if (viewer.pointer) drawCross(viewer, panel, context, ratio);
  panel.title.textContent = viewer.titleOf(panel.name);
  if (panel.scale) panel.scale.textContent = viewer.message.scales[panel.name];
  if (panel.divider) {
    panel.divider.style.left = `${100 * viewer.divider}%`;
    panel.divider.setAttribute("aria-valuenow", Math.round(100 * viewer.divider));
    panel.title.textContent = viewer.message.titles.before;
    panel.second.textContent = viewer.message.titles.after;
  }
}

function drawMarks(viewer, panel, context, ratio) {
  const { message } = viewer, scale = viewer.scaleOf(panel);
  for (const [name, , colour] of MARKS) {
    const places = message[name];
    if (!viewer.shown[name] || !places) continue;
    context.strokeStyle = colour;
    context.lineWidth = 1.6 * ratio;
    context.setLineDash(name === "lost" ? [4 * ratio, 3 * ratio] : []);
    for (let i = 0; i < places.length; i += 3) {
      const [x, y] = viewer.toPanel(panel, places[i] + 0.5, places[i + 1] + 0.5);
      const radius = Math.max(2.5 * places[i + 2] * scale, 6 * ratio);
      if (x < -radius || y < -radius || x > panel.canvas.width + radius || y > panel.canvas.height + radius) continue;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

function drawCross(viewer, panel, context, ratio) {
  if (viewer.over === panel) return;
  const [x, y] = viewer.toPanel(panel, ...viewer.pointer), arm = 7 * ratio;
  context.lineWidth = ratio;
  context.strokeStyle = "#ffffffcc";
  context.globalCompositeOperation = "difference";
  context.beginPath();
  context.moveTo(x - arm, y);
  context.lineTo(x + arm, y);
  context.moveTo(x, y - arm);
  context.lineTo(x, y + arm);
  context.stroke();
  context.globalCompositeOperation = "source-over";
}
