/* One map: its points, what is marked on them, and what it looks like at this moment. */

const MAX_ZOOM = 4000;

class GalaxyMap {
  constructor(root) {
    this.root = root;
    root.innerHTML = `
      <div class="atlas-head"><div class="atlas-title"></div><div class="atlas-tools" role="toolbar"></div></div>
      <div class="atlas-paper" tabindex="0" role="application">
        <canvas class="points"></canvas><div class="atlas-pictures"></div><canvas class="marks"></canvas>
        <div class="atlas-tip" hidden></div><div class="atlas-note" hidden></div>
        <div class="atlas-axis x"></div><div class="atlas-axis y"></div>
      </div>
      <div class="atlas-legend"></div><div class="atlas-said" role="status"></div>`;
    this.find = (selector) => root.querySelector(selector);
    this.paper = this.find(".atlas-paper");
    this.tool = "pan";
    this.mode = "new";
    this.hidden = new Set();
    this.view = null;
    this.hoverRow = null;
    this.detail = null;
    this.drawnFrames = 0;
    this.observer = new ResizeObserver(() => this.resize());
    buildTools(this);
    listen(this);
  }

  /** Take over a message of the server; the view stays where the same map is drawn again in other colours. */
  show(message) {
    this.observer.observe(this.paper); // again, where the map had left
    HUB.maps.set(message.id, this);
    const sameMap = this.message && this.message.place === message.place && this.message.mark === message.mark;
    if (sameMap && this.message.stamp === message.stamp) return;
    // another catalog or colouring: back to one, the address has what was hidden there, and else nothing that fits it
    if (this.message?.group !== message.group || this.message.grouping !== message.grouping) this.hidden = hiddenInAddress(message);
    else if (this.message.groups !== message.groups) this.hidden = hiddenByName(this.hidden, this.message, message);
    this.message = message;
    const goesBack = this.goesBack && isElsewhere(message); // this was still on its way
    this.points = readPoints(message);
    this.detail = null;
    this.colours = message.colours.map(rgbOf);
    this.background = rgbOf(message.background);
    this.chosen = this.tips = null;
    this.root.style.setProperty("--atlas-paper", message.background);
    this.root.style.setProperty("--atlas-ink", message.ink);
    this.root.style.setProperty("--atlas-mark", message.accent);
    this.find(".atlas-title").textContent = message.title;
    this.find(".atlas-title").title = message.title;
    this.paper.setAttribute("aria-label", `${message.title}. Arrow keys open the next galaxy, with Shift they move the map; plus and minus zoom.`);
    for (const [side, text] of [["x", message.axis && `${message.axis} 1`], ["y", message.axis && `${message.axis} 2`]]) {
      this.find(`.atlas-axis.${side}`).textContent = text || "";
    }
    drawLegend(this);
    if (!sameMap) this.view = null;
    this.resize();
    this.applyMarks(HUB.marks.get(message.group));
    this.goesBack = goesBack;
    askForDetail(this, 0);
  }

  resize() {
    const ratio = window.devicePixelRatio || 1, box = this.paper.getBoundingClientRect();
    const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
    if (!width || !height) return;
    if (!this.sheet || this.sheet.width !== width || this.sheet.height !== height) {
      const whole = this.sheet && this.view && this.viewOf(this.message.extent).scale;
      this.sheet = makePaper(this.find("canvas.points"), width, height);
      const marks = this.find("canvas.marks");
      marks.width = width;
      marks.height = height;
      this.ratio = ratio;
      // the same part of the map, and the same again when the window is as large as before
      if (whole) this.view.scale *= this.viewOf(this.message.extent).scale / whole;
    }
    if (this.message && !this.view) this.takePlace(placeInAddress(this));
    this.draw();
  }

  /** The scale at which an extent fills the paper. */
  viewOf([x0, x1, y0, y1], margin = 0.04) {
    const { width, height } = this.sheet, room = 1 + 2 * margin;
    return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: Math.min(width / ((x1 - x0) * room), height / ((y1 - y0) * room)) };
  }

  fit() {
    this.takePlace("");
  }

  /** What part of the map is on the screen, whatever the size of that: its middle as shares of the map as it was made, and
      how many times larger than that it is drawn. Nothing for the whole map, which may have grown since. */
  placeShown() {
    const [x0, x1, y0, y1] = this.message.home, home = this.viewOf(this.message.home).scale;
    const placeOf = ({ x, y, scale }) => {
      const zoom = scale / home, digits = 3 + Math.ceil(Math.log10(Math.max(1, zoom)));
      const middle = [(x - x0) / (x1 - x0), (y - y0) / (y1 - y0)].map((share) => Number(share.toFixed(digits)));
      return [...middle, Number(zoom.toPrecision(4))].join("_");
    };
    const place = placeOf(this.view);
    return place === placeOf(this.viewOf(this.message.extent)) ? "" : place;
  }

  /** Show such a part; the whole map where it is none. */
  takePlace(place) {
    const { home: [x0, x1, y0, y1], extent } = this.message, whole = this.viewOf(extent);
    const [x, y, zoom, ...rest] = place.split("_").map(Number);
    const view = { x: x0 + x * (x1 - x0), y: y0 + y * (y1 - y0), scale: zoom * this.viewOf(this.message.home).scale };
    const near = (value, a, b) => Math.abs(value - (a + b) / 2) <= b - a, times = view.scale / whole.scale;
    const known = rest.length === 0 && near(view.x, extent[0], extent[1]) && near(view.y, extent[2], extent[3]);
    this.view = known && times > 0.399 && times <= MAX_ZOOM ? view : whole;
    this.changed();
  }

  zoomTo(extent) {
    const [x0, x1, y0, y1] = extent, whole = this.message.extent;
    const least = Math.max(whole[1] - whole[0], whole[3] - whole[2]) / 500;
    const grow = (a, b) => (b - a < least ? [(a + b - least) / 2, (a + b + least) / 2] : [a, b]);
    this.view = this.viewOf([...grow(x0, x1), ...grow(y0, y1)], 0.08);
    this.changed();
  }

  zoomBy(factor, px = this.sheet.width / 2, py = this.sheet.height / 2) {
    const whole = this.viewOf(this.message.extent).scale, [x, y] = this.toMap(px, py);
    const scale = Math.max(whole * 0.4, Math.min(whole * MAX_ZOOM, this.view.scale * factor));
    this.view = { scale, x: x - (px - this.sheet.width / 2) / scale, y: y + (py - this.sheet.height / 2) / scale };
    this.changed();
  }

  moveBy(dx, dy) {
    const step = Math.min(this.sheet.width, this.sheet.height) / 10 / this.view.scale;
    this.view = { ...this.view, x: this.view.x + dx * step, y: this.view.y + dy * step };
    this.changed();
  }

  changed() {
    this.goesBack = false;
    this.draw();
    askForDetail(this, 250);
  }

  toMap(px, py) {
    const { x, y, scale } = this.view;
    return [x + (px - this.sheet.width / 2) / scale, y - (py - this.sheet.height / 2) / scale];
  }

  toPaper(x, y) {
    return [this.sheet.width / 2 + (x - this.view.x) * this.view.scale, this.sheet.height / 2 - (y - this.view.y) * this.view.scale];
  }

  extentShown() {
    const [x0, y1] = this.toMap(0, 0), [x1, y0] = this.toMap(this.sheet.width, this.sheet.height);
    return [x0, x1, y0, y1];
  }

  /** Where a galaxy is on the screen, in pixels of the page; null where it is not drawn. */
  pixelOf(row) {
    const points = this.shownPoints(), i = points.rows.indexOf(row);
    if (i < 0) return null;
    const box = this.paper.getBoundingClientRect(), [px, py] = this.toPaper(points.x[i], points.y[i]);
    return [box.left + px / this.ratio, box.top + py / this.ratio];
  }

  /** The points of the part on the screen where the server has sent them, else those of the whole map. */
  shownPoints() {
    return this.detail && this.detail.points && this.isWithin(this.detail.covers) ? this.detail.points : this.points;
  }

  /** The finer density of the part on the screen where the server has sent it, else that of the whole map. */
  densityShown() {
    return this.detail && this.detail.density && this.isWithin(this.detail.covers) ? this.detail.density : this.message;
  }

  /** Whether what is on the screen lies inside a rectangle. */
  isWithin([a, b, c, d]) {
    const [x0, x1, y0, y1] = this.extentShown();
    return x0 >= a - 1e-9 && x1 <= b + 1e-9 && y0 >= c - 1e-9 && y1 <= d + 1e-9;
  }

  draw() {
    if (this.waiting || !this.sheet || !this.view || !this.message) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint(this.sheet, this.ratio);
      this.sheet.context.putImageData(this.sheet.image, 0, 0);
      this.paintMarks(this.find("canvas.marks").getContext("2d"), this.ratio);
      placePictures(this);
      this.drawnFrames++;
      this.root.dataset.drawn = this.message.stamp;
    });
  }

  /** Only the rings and outlines: what moves with the mouse leaves the points alone. */
  drawMarks() {
    if (this.waiting || this.waitingForMarks || !this.sheet || !this.view || !this.message) return;
    this.waitingForMarks = requestAnimationFrame(() => {
      this.waitingForMarks = 0;
      this.paintMarks(this.find("canvas.marks").getContext("2d"), this.ratio);
    });
  }

  /** Background, density and points. */
  paint(sheet, ratio) {
    const { message, view, colours, hidden } = this, points = this.shownPoints(), detailed = points !== this.points;
    sheet.words.fill(wordOf(this.background));
    if (message.density && !detailed) {
      const { density, bins, extent } = this.densityShown();
      paintDensity(sheet, density, bins, extent, view, this.background, rgbOf(message.ink));
    }
    const zoom = Math.max(1, view.scale / this.viewOf(message.extent).scale);
    const room = Math.max(0.6, Math.min(1.3, Math.sqrt(sheet.width * sheet.height) / (640 * ratio)));
    const size = Math.min(12, (detailed ? message.detail_size : message.size) * Math.min(3, zoom ** 0.25) * room) * ratio;
    const chosen = this.chosen && this.chosenOf(points);
    const paint = (diameter, ...rest) => paintPoints(sheet, points, view, makeStamp(diameter), colours, hidden, ...rest);
    if (!chosen) return paint(size, null, 0, [message.opacity, 1]);
    paint(size, chosen, 0, [0.08, 0.3]);
    paint(size + 0.5 * ratio, chosen, 1, [0.5, 1]);
  }

  /** For each point whether it is selected. */
  chosenOf(points) {
    if (points.chosenFor !== this.chosen) {
      points.chosen = Uint8Array.from(points.rows, (row) => (this.chosen[row >> 3] >> (row & 7)) & 1);
      points.chosenFor = this.chosen;
    }
    return points.chosen;
  }

  /** Rings and outlines, above the points. */
  paintMarks(context, ratio) {
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    const ring = (place, radius, width, colour) => {
      const [px, py] = this.toPaper(...place);
      context.beginPath();
      context.arc(px, py, radius * ratio, 0, 2 * Math.PI);
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.stroke();
    };
    for (const outline of this.outlines || []) (PAINT_MARK[outline.kind] || paintOutlineOf)(context, this, outline, ratio);
    if (this.drawing) this.paintOutline(context, this.drawing, ratio, true);
    const hover = this.placeOf(this.hoverRow);
    if (hover) ring(hover, 7, 1.5, this.message.ink);
    const open = this.openPlace || this.placeOf(this.openRow);
    if (open) {
      ring(open, 10, 5, this.message.background);
      ring(open, 10, 2.5, this.message.ink);
    }
  }

  paintOutline(context, { x, y }, ratio, open) {
    context.beginPath();
    x.forEach((value, k) => context[k ? "lineTo" : "moveTo"](...this.toPaper(value, y[k])));
    context.closePath();
    context.setLineDash(open ? [] : [5 * ratio, 4 * ratio]);
    context.lineWidth = 1.5 * ratio;
    context.strokeStyle = this.message.accent;
    context.stroke();
    context.setLineDash([]);
    if (open) { context.fillStyle = `${this.message.accent}22`; context.fill(); }
  }

  placeOf(row) {
    if (row === null || row === undefined || !this.points) return null;
    const i = this.points.rows.indexOf(row);
    return i < 0 ? null : [this.points.x[i], this.points.y[i]];
  }

  /** Mark the open galaxy and the selection. */
  applyMarks(marks) {
    if (!marks || !this.message) return;
    this.openRow = marks.open ? marks.open.row : null;
    this.openPlace = marks.open ? marks.open.places[this.message.projection] || null : null;
    if (this.paper.matches(":focus")) this.find(".atlas-said").textContent = marks.open?.id ? `Galaxy ${marks.open.id} is open` : "";
    this.chosen = marks.bits && marks.bits.length ? marks.bits : null;
    this.outlines = (marks.outlines || []).filter((outline) => outline.map === this.message.projection);
    this.chosenExtent = (marks.extents || {})[this.message.projection] || null;
    this.find('[data-tool="selection"]').disabled = !this.chosenExtent;
    HISTORY.forEach(([name], k) => {
      const button = this.find(`[data-tool="${name}"]`);
      button.hidden = !marks.history;
      button.disabled = !marks.history?.[k];
    });
    this.draw();
  }

  say(text) {
    const note = this.find(".atlas-note");
    note.textContent = text || "";
    note.hidden = !text;
  }

  leave() {
    this.observer.disconnect();
    clearTimeout(this.asking);
    if (this.message && HUB.maps.get(this.message.id) === this) HUB.maps.delete(this.message.id);
  }
}
