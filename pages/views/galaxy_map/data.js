/* What the server sends: one block of bytes, a JSON header and typed arrays; and the hub through which the parts of a page
   find one another. A map only draws. Three invisible channels beside it talk to the server, so that a click sends back a
   few bytes and never the points again. */

const HUB = (window.galaxyAtlas ??= { maps: new Map(), marks: new Map(), channels: new Map(), pictures: false });
const ARRAY_TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };

/** The header with the arrays it lists, from the bytes `payload.pack` made. */
function unpack(bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const headerBytes = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, headerBytes)));
  for (const [name, [type, start, length]] of Object.entries(header.arrays)) {
    header[name] = new ARRAY_TYPES[type](buffer, start, length);
  }
  return header;
}

/** Points in the units of the map, from 16-bit whole numbers within their extent. */
function readPoints(message) {
  const [x0, x1, y0, y1] = message.extent;
  const n = message.x.length, x = new Float32Array(n), y = new Float32Array(n);
  const stepX = (x1 - x0) / 65535, stepY = (y1 - y0) / 65535;
  for (let i = 0; i < n; i++) {
    x[i] = x0 + message.x[i] * stepX;
    y[i] = y0 + message.y[i] * stepY;
  }
  return { n, x, y, rows: message.row, codes: message.code, extent: message.extent, grid: null };
}

/** Points sorted into square cells, made when the mouse first asks what is under it. */
function gridOf(points) {
  if (points.grid) return points.grid;
  const [x0, x1, y0, y1] = points.extent;
  const side = Math.max(1, Math.min(1024, Math.round(Math.sqrt(points.n / 4))));
  const column = (v) => Math.max(0, Math.min(side - 1, Math.floor(((v - x0) / (x1 - x0)) * side)));
  const line = (v) => Math.max(0, Math.min(side - 1, Math.floor(((v - y0) / (y1 - y0)) * side)));
  const starts = new Uint32Array(side * side + 1), cells = new Uint32Array(points.n), members = new Uint32Array(points.n);
  for (let i = 0; i < points.n; i++) starts[(cells[i] = line(points.y[i]) * side + column(points.x[i])) + 1]++;
  for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
  const next = starts.slice(0, side * side);
  for (let i = 0; i < points.n; i++) members[next[cells[i]]++] = i;
  return (points.grid = { column, line, side, starts, members });
}

/** Index of the visible point nearest to (x, y) within a distance, -1 where there is none. */
function nearestPoint(points, x, y, distance, hidden) {
  const { column, line, side, starts, members } = gridOf(points);
  let best = -1, nearest = distance * distance;
  for (let r = line(y - distance); r <= line(y + distance); r++) {
    for (let c = column(x - distance); c <= column(x + distance); c++) {
      for (let k = starts[r * side + c]; k < starts[r * side + c + 1]; k++) {
        const i = members[k], dx = points.x[i] - x, dy = points.y[i] - y, d = dx * dx + dy * dy;
        if (d <= nearest && !hidden.has(points.codes[i])) { nearest = d; best = i; }
      }
    }
  }
  return best;
}

const escapeText = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const rgbOf = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
