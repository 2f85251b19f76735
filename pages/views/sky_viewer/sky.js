/* What lies over a frame: objects as ellipses, the grid of the sky, a box that is drawn, and clicks on objects. */

const CLICK_PX = 5, REACH_PX = 12, MANY = 2500;
const SKY = (window.galaxyAtlasSky ??= { marks: new Map(), channels: new Map(), views: new Map() });

/** Tell the server what was done; it is told again until it says it has seen it. */
function tellSky(id, event) {
  const channel = SKY.channels.get(id) ?? {};
  SKY.channels.set(id, channel);
  channel.number = Math.max(channel.number || 0, Date.now() * 1000) + 1;
  (channel.events ??= []).push({ ...event, number: channel.number });
  channel.tell?.("events", channel.events);
}

class SkyObjects {
  constructor(viewer) {
    this.viewer = viewer;
    this.shown = { objects: true, grid: true };
    this.boxing = false;
    this.marks = null;
  }

  get message() { return this.viewer.message; }

  takeMarks(marks) {
    this.marks = marks;
    this.viewer.redraw();
    fillTools(this.viewer);
    const { opened } = marks;
    if (opened && opened.number !== this.openNumber && opened.centre) this.bringIn(opened.x + 0.5, opened.y + 0.5);
    this.openNumber = opened?.number;
  }

  /** Move the view so that a place is in it, where it is not. */
  bringIn(x, y) {
    const { viewer } = this, [panel] = viewer.panels;
    if (!panel) return;
    const [left, top] = viewer.toPanel(panel, x, y);
    if (left < 0 || top < 0 || left > panel.canvas.width || top > panel.canvas.height) viewer.panTo(x, y);
  }

  isSelected(row) { return Boolean(this.marks?.bits?.length && (this.marks.bits[row >> 3] >> (row & 7)) & 1); }

  draw(panel, context, ratio) {
    if (!this.message.obj_x) return;
    if (this.shown.grid) this.drawGrid(panel, context, ratio);
    if (this.shown.objects) {
      context.save();
      this.clipToFrame(panel, context);
      this.drawObjects(panel, context, ratio);
      context.restore();
    }
    this.drawOpened(panel, context, ratio);
    if (this.box) this.drawBox(panel, context, ratio);
  }

  /** Let nothing be drawn beyond the frame's edge, where there is no sky. */
  clipToFrame(panel, context) {
    const [[x0, y0], [x1, y1]] = [[0, 0], [this.message.full_width, this.message.full_height]].map((place) => this.viewer.toPanel(panel, ...place));
    context.beginPath();
    context.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    context.clip();
  }

  /** Numbers of the objects on the screen. */
  onScreen(panel) {
    const { obj_x: xs, obj_y: ys, obj_a: as } = this.message, { viewer } = this, { width, height } = panel.canvas;
    const corners = [viewer.toImage(panel, 0, 0), viewer.toImage(panel, width, height)];
    const [x0, x1] = [corners[0][0], corners[1][0]].sort((a, b) => a - b), [y0, y1] = [corners[0][1], corners[1][1]].sort((a, b) => a - b);
    const found = [];
    for (let i = 0; i < xs.length; i++) {
      const reach = as[i];
      if (xs[i] + 0.5 > x0 - reach && xs[i] + 0.5 < x1 + reach && ys[i] + 0.5 > y0 - reach && ys[i] + 0.5 < y1 + reach) found.push(i);
    }
    return found;
  }

  drawObjects(panel, context, ratio) {
    const { message, viewer } = this, here = this.onScreen(panel);
    const any = Boolean(this.marks?.bits?.length), many = here.length > MANY, least = (many ? 2 : 4) * ratio;
    const lines = many ? this.layerOf(panel) : context;
    const groups = new Map();
    for (const i of here) {
      const chosen = any && this.isSelected(message.obj_row[i]), key = chosen ? -1 : message.obj_code[i];
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(i);
    }
    for (const [key, members] of [...groups].sort(([a], [b]) => (a === -1) - (b === -1))) {
      const width = (key === -1 ? 2.4 : many ? 1 : 1.5) * ratio;
      lines.globalAlpha = key === -1 || !any ? 1 : 0.4;
      const paths = members.map((i) => this.ellipse(panel, i, least));
      this.strokeCased(lines, key === -1 ? "#ffd166" : message.palette[key], width, ratio, paths);
    }
    if (many) context.drawImage(lines.canvas, 0, 0);
    context.globalAlpha = 1;
  }

  /** An empty canvas as large as a panel that browsers paint without the graphics card: so thousands of lines are fast. */
  layerOf({ canvas: { width, height } }) {
    this.layer ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    Object.assign(this.layer.canvas, { width, height });
    return this.layer;
  }

  /**
   * Light lines, each between two dark ones, so that they are seen on the sky and on the white of a star. Paths are
   * drawn one by one: thousands of ellipses in one path take browsers seconds.
   */
  strokeCased(context, colour, width, ratio, paths) {
    for (const [paint, wide] of [["#05070d", width + 2.8 * ratio], [colour, width]]) {
      context.strokeStyle = paint;
      context.lineWidth = wide;
      for (const path of paths) context.stroke(path);
    }
  }

  ellipse(panel, i, least) {
    const { message, viewer } = this, scale = viewer.scaleOf(panel), [x, y] = viewer.toPanel(panel, message.obj_x[i] + 0.5, message.obj_y[i] + 0.5);
    const major = Math.max(message.obj_a[i] * scale, least), minor = Math.max(message.obj_b[i] * scale, least);
    const path = new Path2D();
    path.ellipse(x, y, major, minor, (viewer.flip ? -1 : 1) * message.obj_theta[i], 0, 2 * Math.PI);
    return path;
  }

  drawOpened(panel, context, ratio) {
    const opened = this.marks?.opened;
    if (!opened) return;
    const { viewer } = this, [x, y] = viewer.toPanel(panel, opened.x + 0.5, opened.y + 0.5);
    const radius = Math.max(opened.a * viewer.scaleOf(panel), 6 * ratio) + 5 * ratio, arm = 9 * ratio;
    const mark = new Path2D();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      mark.moveTo(x + dx * radius, y + dy * radius);
      mark.lineTo(x + dx * (radius + arm), y + dy * (radius + arm));
    }
    mark.moveTo(x + radius, y);
    mark.arc(x, y, radius, 0, 2 * Math.PI);
    this.strokeCased(context, "#f2b04a", 2.4 * ratio, ratio, [mark]);
  }

  drawGrid(panel, context, ratio) {
    const { message, viewer } = this;
    context.lineWidth = ratio;
    context.font = `${11 * ratio}px sans-serif`;
    this.labels = [];
    for (const { axis, label, start, length } of message.grid) {
      const points = [];
      for (let i = start; i < start + length; i++) {
        const known = !Number.isNaN(message.grid_x[i]);
        points.push(known ? viewer.toPanel(panel, message.grid_x[i] + 0.5, message.grid_y[i] + 0.5) : null);
      }
      context.strokeStyle = viewer.look.invert ? "#00336666" : "#a8d8ff55";
      context.beginPath();
      points.forEach((point, i) => { if (point) points[i - 1] ? context.lineTo(...point) : context.moveTo(...point); });
      context.stroke();
      this.drawLabel(panel, context, ratio, points, axis, label);
    }
  }

  /** The name of a line, where it leaves the panel: below for one that runs up and down, at the left for others. */
  drawLabel(panel, context, ratio, points, axis, label) {
    const { width, height } = panel.canvas, inset = 8 * ratio;
    const image = [this.viewer.toPanel(panel, 0, 0), this.viewer.toPanel(panel, this.message.full_width, this.message.full_height)];
    const low = Math.min(height, Math.max(image[0][1], image[1][1])) - inset, side = Math.max(0, Math.min(image[0][0], image[1][0])) + inset;
    const crossing = (k, level, most) => {
      for (let i = 1; i < points.length; i++) {
        const [a, b] = [points[i - 1], points[i]];
        if (!a || !b || (a[k] - level) * (b[k] - level) > 0 || a[k] === b[k]) continue;
        const share = (level - a[k]) / (b[k] - a[k]), other = a[1 - k] + share * (b[1 - k] - a[1 - k]);
        if (other > (k ? 0 : 40 * (window.devicePixelRatio || 1)) && other < most) return other;
      }
      return null;
    };
    const tries = [["below", 1, low, width], ["left", 0, side, height]];
    if (axis === "latitude") tries.reverse();
    for (const [where, k, level, most] of tries) {
      const other = crossing(k, level, most);
      if (other === null) continue;
      const [x, y] = where === "below" ? [other + 4 * ratio, low] : [side, other - 4 * ratio], wide = context.measureText(label).width;
      const meets = this.labels.some(([left, line, size]) => Math.abs(y - line) < 15 * ratio && x < left + size + 8 * ratio && left < x + wide + 8 * ratio);
      if (meets || x + wide > width) return;
      this.labels.push([x, y, wide]);
      context.fillStyle = "#0b0e17b0";
      context.fillRect(x - 3 * ratio, y - 11 * ratio, wide + 6 * ratio, 15 * ratio);
      context.fillStyle = "#d3eaff";
      context.fillText(label, x, y);
      return;
    }
  }

  drawBox(panel, context, ratio) {
    const [a, b] = this.box.map((place) => this.viewer.toPanel(panel, ...place));
    const outline = new Path2D();
    outline.rect(Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(b[0] - a[0]), Math.abs(b[1] - a[1]));
    context.setLineDash([6 * ratio, 4 * ratio]);
    this.strokeCased(context, "#ffd166", 1.6 * ratio, ratio, [outline]);
    context.setLineDash([]);
  }

  press(panel, place, fingers, shift) {
    this.start = fingers === 1 ? place : null;
    this.box = this.start && (this.boxing || shift) ? [this.viewer.toImage(panel, ...place), this.viewer.toImage(panel, ...place)] : null;
  }

  /** Whether the box takes the movement, so that the image stays. */
  drag(panel, place) {
    if (!this.box) return false;
    this.box[1] = this.viewer.toImage(panel, ...place);
    this.viewer.redraw();
    return true;
  }

  release(panel, place, whole) {
    const { start, box } = this;
    this.start = this.box = null;
    if (!start || !whole) return;
    const far = Math.hypot(place[0] - start[0], place[1] - start[1]) / (window.devicePixelRatio || 1);
    if (box && far >= CLICK_PX) {
      const [[x0, y0], [x1, y1]] = box;
      tellSky(this.message.id, { kind: "box", stamp: this.message.objects_stamp, box: [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)] });
    } else if (far < CLICK_PX) {
      const row = this.at(panel, place);
      if (row !== null) tellSky(this.message.id, { kind: "open", stamp: this.message.objects_stamp, row });
    }
    this.viewer.redraw();
  }

  /** Row of the object at a place of the panel: the one whose ellipse, or centre, is nearest; null for none. */
  at(panel, place) {
    const { message, viewer } = this, scale = viewer.scaleOf(panel), reach = REACH_PX * (window.devicePixelRatio || 1);
    let best = null, least = Infinity;
    for (const i of this.onScreen(panel)) {
      const [x, y] = viewer.toPanel(panel, message.obj_x[i] + 0.5, message.obj_y[i] + 0.5);
      const away = Math.hypot(place[0] - x, place[1] - y), size = Math.max(message.obj_b[i] * scale, reach);
      if (away < Math.max(message.obj_a[i] * scale, reach) && away / size < least) [best, least] = [message.obj_row[i], away / size];
    }
    return best;
  }

  /** Coordinates of a place of the image in words; nothing without. */
  placeOf([x, y]) {
    const { message } = this, { sky } = message;
    if (!sky) return [];
    const column = (x / message.full_width) * (sky.n - 1), row = (y / message.full_height) * (sky.n - 1);
    const i = Math.min(Math.max(Math.floor(column), 0), sky.n - 2), j = Math.min(Math.max(Math.floor(row), 0), sky.n - 2);
    const between = (values) => {
      const value = (r, c) => values[r * sky.n + c], u = column - i, v = row - j;
      return (1 - v) * ((1 - u) * value(j, i) + u * value(j, i + 1)) + v * ((1 - u) * value(j + 1, i) + u * value(j + 1, i + 1));
    };
    const [dx, dy, dz] = sky.middle.map((part, axis) => part + between([message.sky_x, message.sky_y, message.sky_z][axis]));
    const longitude = Math.atan2(dy, dx) * 180 / Math.PI, latitude = Math.atan2(dz, Math.hypot(dx, dy)) * 180 / Math.PI;
    if (!Number.isFinite(longitude) || !Number.isFinite(latitude)) return [];
    return [`${sky.names[0]} ${(((longitude % 360) + 360) % 360).toFixed(5)}°, ${sky.names[1]} ${latitude < 0 ? "−" : "+"}${Math.abs(latitude).toFixed(5)}°`];
  }

  fillLegend(legend) {
    const { message } = this, chosen = this.marks?.n_selected ?? 0;
    const button = (name, text, pressed, title, mark = "") => {
      const one = document.createElement("button");
      Object.assign(one, { type: "button", title, innerHTML: mark });
      one.dataset.sky = name;
      one.setAttribute("aria-pressed", pressed);
      one.append(text);
      one.addEventListener("click", (event) => { event.stopPropagation(); this.toggle(name); });
      return one;
    };
    const ring = `<i style="border-color:${message.palette[message.palette.length - 1]}"></i>`;
    const parts = [button("objects", `${message.total.toLocaleString("en")} objects`, this.shown.objects, "Show or hide the objects", message.known ? "" : ring)];
    if (message.known) {
      const scale = document.createElement("span");
      scale.className = "sky-scale";
      scale.innerHTML = `star <b style="background:linear-gradient(90deg, ${message.palette.slice(0, -1).join()})"></b> galaxy`;
      scale.title = "Probability of being a galaxy, from 0 to 1; grey where it is not known";
      parts.push(scale);
    }
    if (message.grid.length) parts.push(button("grid", "sky grid", this.shown.grid, "Show or hide the grid of the sky"));
    parts.push(button("box", "select a box", this.boxing, "Draw a box around objects; or hold Shift and drag"));
    if (chosen) parts.push(button("clear", `${chosen.toLocaleString("en")} selected ×`, true, "Forget the selection", '<i style="border-color:#ffd166"></i>'));
    legend.replaceChildren(...parts);
    this.viewer.root.dataset.boxing = this.boxing;
  }

  toggle(name) {
    if (name === "clear") return tellSky(this.message.id, { kind: "clear", stamp: this.message.objects_stamp });
    if (name === "box") this.boxing = !this.boxing;
    else this.shown[name] = !this.shown[name];
    fillTools(this.viewer);
    this.viewer.redraw();
  }
}
