/* Points painted into an image by hand: no WebGL, so it is the same on a laptop, a projector and a remote desktop, and there
   is no limit of points in a trace. 100,000 points take about 15 ms. */

/** The pixels a round point covers, each by how many 256ths. */
function makeStamp(diameter) {
  const radius = diameter / 2, reach = Math.ceil(radius), dx = [], dy = [], cover = [];
  for (let v = -reach; v <= reach; v++) {
    for (let u = -reach; u <= reach; u++) {
      const share = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(u, v)));
      if (share > 0.02) { dx.push(u); dy.push(v); cover.push(Math.round(256 * share)); }
    }
  }
  return { reach, dx, dy, cover };
}

/** An image that fills a canvas; `top` and `depth` are the colour of the last point in each place and the 256ths of points
    there, before they are painted. */
function makePaper(canvas, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { alpha: false }), image = context.createImageData(width, height);
  const pixels = new Uint8Array(image.data.buffer), words = new Uint32Array(image.data.buffer);
  return { context, image, pixels, words, top: new Uint8Array(pixels.length), depth: new Uint32Array(words.length), width, height };
}

const wordOf = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

/** Paint the points whose value in `only` equals `wanted` (all where `only` is null), with an opacity from `least` to `most`:
    by the logarithm of how many lie in a place, so that the middle of a crowd is told from its edge at any zoom. */
function paintPoints(paper, points, view, stamp, colours, hidden, only, wanted, [least, most]) {
  stackPoints(paper, points, view, stamp, colours, hidden, only, wanted);
  const { pixels, top, depth } = paper, n = depth.length;
  let sum = 0, squares = 0;
  for (let i = 0; i < n; i++) { const d = depth[i]; sum += d; squares += d * d; }
  const crowd = Math.max(1, squares / sum / 128 - 1); // twice the number of points in the place of a point, on average
  const opacities = Int32Array.from({ length: 1024 }, (_, k) =>
    256 * (least + (most - least) * Math.min(1, Math.log(1 + Math.max(1, k)) / Math.log(1 + crowd))));
  for (let i = 0, p = 0; i < n; i++, p += 4) {
    const d = depth[i];
    if (!d) continue;
    const a = d < 256 ? (opacities[0] * d) >> 8 : opacities[Math.min(1023, d >> 8)];
    pixels[p] += ((top[p] - pixels[p]) * a) >> 8;
    pixels[p + 1] += ((top[p + 1] - pixels[p + 1]) * a) >> 8;
    pixels[p + 2] += ((top[p + 2] - pixels[p + 2]) * a) >> 8;
  }
}

function stackPoints({ top, depth, width, height }, points, view, stamp, colours, hidden, only, wanted) {
  const { reach, dx, dy, cover } = stamp, { x, y, codes, n } = points;
  const m = cover.length, steps = Int32Array.from(cover, (_, k) => dy[k] * width + dx[k]);
  const centreX = width / 2 + 0.5, centreY = height / 2 + 0.5, scale = view.scale;
  const skip = new Uint8Array(colours.length);
  for (const code of hidden) skip[code] = 1;
  depth.fill(0);
  for (let i = 0; i < n; i++) {
    if (only !== null && only[i] !== wanted) continue;
    const code = codes[i];
    if (skip[code]) continue;
    const px = Math.floor(centreX + (x[i] - view.x) * scale), py = Math.floor(centreY - (y[i] - view.y) * scale);
    if (px < -reach || py < -reach || px >= width + reach || py >= height + reach) continue;
    const [r, g, b] = colours[code], whole = px >= reach && py >= reach && px < width - reach && py < height - reach;
    const start = py * width + px;
    for (let k = 0; k < m; k++) {
      if (!whole) {
        const u = px + dx[k], v = py + dy[k];
        if (u < 0 || v < 0 || u >= width || v >= height) continue;
      }
      const q = start + steps[k], p = 4 * q, a = depth[q] ? cover[k] : 256;
      depth[q] += cover[k];
      top[p] += ((r - top[p]) * a) >> 8;
      top[p + 1] += ((g - top[p + 1]) * a) >> 8;
      top[p + 2] += ((b - top[p + 2]) * a) >> 8;
    }
  }
}

/** Paint the density of all galaxies below the points: an even tone, brighter where there are more. */
function paintDensity(paper, density, [nLines, nColumns], extent, view, background, tone) {
  const { words, width, height } = paper, [x0, x1, y0, y1] = extent, table = new Uint32Array(256);
  for (let v = 0; v < 256; v++) {
    const share = v ? 0.1 + 0.6 * Math.pow(v / 255, 1.5) : 0;
    table[v] = wordOf(background.map((c, k) => Math.round(c + (tone[k] - c) * share)));
  }
  const columns = new Int32Array(width);
  for (let u = 0; u < width; u++) {
    const bin = Math.floor(((view.x + (u - width / 2) / view.scale - x0) / (x1 - x0)) * nColumns);
    columns[u] = bin >= 0 && bin < nColumns ? bin : -1;
  }
  for (let v = 0; v < height; v++) {
    const line = Math.floor(((view.y - (v - height / 2) / view.scale - y0) / (y1 - y0)) * nLines);
    if (line < 0 || line >= nLines) continue;
    for (let u = 0; u < width; u++) if (columns[u] >= 0) words[v * width + u] = table[density[line * nColumns + columns[u]]];
  }
}

/** A place that is no galaxy of the map: a cross of fixed size with a label, and the circle that says how sure it is. */
function paintPlace(context, map, { x, y, radius, label, below, faint }, ratio) {
  const [px, py] = map.toPaper(x[0], y[0]), arm = 9 * ratio, r = radius * map.view.scale;
  const { accent, background, ink } = map.message;
  context.globalAlpha = faint ? 0.7 : 1;
  if (r > arm) {
    context.beginPath();
    context.arc(px, py, r, 0, 2 * Math.PI);
    context.setLineDash([5 * ratio, 4 * ratio]);
    context.lineWidth = 1.5 * ratio;
    context.strokeStyle = accent;
    context.stroke();
    context.setLineDash([]);
    if (!faint) { context.fillStyle = `${accent}1c`; context.fill(); }
  }
  for (const [colour, width] of [[background, 6], [accent, faint ? 2 : 3]]) {
    context.beginPath();
    for (const [dx, dy] of faint ? [[arm, arm], [arm, -arm]] : [[arm, 0], [0, arm]]) {
      context.moveTo(px - dx, py - dy);
      context.lineTo(px + dx, py + dy);
    }
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.font = `600 ${13 * ratio}px sans-serif`;
  const left = Math.min(px + 12 * ratio, context.canvas.width - context.measureText(label).width - 4 * ratio);
  const top = py + (below ? 22 : -10) * ratio;
  context.lineWidth = 4 * ratio;
  context.lineJoin = "round";
  context.strokeStyle = background;
  context.strokeText(label, left, top);
  context.fillStyle = ink;
  context.fillText(label, left, top);
  context.globalAlpha = 1;
}

/** A small ring around each of some galaxies. */
function paintRings(context, map, { x, y }, ratio) {
  for (const [colour, width] of [[map.message.background, 3.5], [map.message.ink, 1.5]]) {
    context.lineWidth = width * ratio;
    context.strokeStyle = colour;
    x.forEach((value, k) => {
      const [px, py] = map.toPaper(value, y[k]);
      context.beginPath();
      context.arc(px, py, 4.5 * ratio, 0, 2 * Math.PI);
      context.stroke();
    });
  }
}

const PAINT_MARK = { place: paintPlace, rings: paintRings };
const paintOutlineOf = (context, map, outline, ratio) => map.paintOutline(context, outline, ratio, false);
