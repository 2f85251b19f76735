/* Numbers on the screen: 16-bit floats from the server, the curves that make brightness of them, and colours. */

const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };
const NOT_A_NUMBER = [52, 46, 66];
const ORANGE = [1, 0.72, 0.3], BLUE = [0.35, 0.7, 1];
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

/** Value of each of the 65,536 floats of 16 bits. */
const HALF = (() => {
  const values = new Float32Array(65536);
  for (let code = 0; code < 65536; code++) {
    const exponent = (code >> 10) & 31, fraction = code & 1023;
    const size = exponent === 31 ? (fraction ? NaN : Infinity)
      : exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
    values[code] = code >> 15 ? -size : size;
  }
  return values;
})();

/** The header with the arrays it lists, from the bytes the server packed. */
function unpack(bytes) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  for (const [name, [type, start, length]] of Object.entries(header.arrays)) header[name] = new TYPES[type](buffer, start, length);
  return header;
}

/** Brightness 0 to 255 of every 16-bit float of one band: black and white in the units sent. */
function curveTable({ curve, contrast, invert }, { black, white, sigma }) {
  const table = new Uint8ClampedArray(65536), span = Math.max((white - black) / contrast, 1e-30);
  const bend = Math.min(Math.max(3 * sigma, 1e-3 * span), span), top = Math.asinh(span / bend);
  for (let code = 0; code < 65536; code++) {
    const signal = HALF[code] - black;
    let shown = signal / span;
    if (curve === "asinh") shown = Math.asinh(signal / bend) / top;
    else if (curve === "log") shown = Math.log1p(1000 * Math.min(Math.max(shown, 0), 1)) / Math.log1p(1000);
    shown = Number.isNaN(shown) ? 0 : Math.min(Math.max(shown, 0), 1);
    table[code] = Math.round(255 * (invert ? 1 - shown : shown));
  }
  return table;
}

/** Blue below, orange above zero, as three bytes a code. */
function residualTable({ contrast, invert }, limit) {
  const table = new Uint8ClampedArray(3 * 65536);
  for (let code = 0; code < 65536; code++) {
    const share = Math.min(Math.max((HALF[code] * contrast) / limit, -1), 1) || 0, colour = share < 0 ? BLUE : ORANGE;
    for (let c = 0; c < 3; c++) {
      const strength = invert ? 1 - Math.abs(share) * colour[2 - c] : Math.abs(share) * colour[c];
      table[3 * code + c] = Math.round(255 * strength);
    }
  }
  return table;
}

/** From dark violet at zero to yellow at the limit, as three bytes a code. */
function uncertaintyTable({ contrast, invert }, limit) {
  const table = new Uint8ClampedArray(3 * 65536);
  for (let code = 0; code < 65536; code++) {
    const share = Math.min(Math.max((HALF[code] * contrast) / limit, 0), 1) || 0;
    const place = (invert ? 1 - share : share) * (VIRIDIS.length - 1), low = Math.min(Math.floor(place), VIRIDIS.length - 2);
    for (let c = 0; c < 3; c++) table[3 * code + c] = VIRIDIS[low][c] + (place - low) * (VIRIDIS[low + 1][c] - VIRIDIS[low][c]);
  }
  return table;
}

/** A canvas with one screen pixel for each pixel sent. `kind` is before, after, residual or uncertainty. */
function paint(layer, kind, look, message) {
  const { width, height } = layer, n = width * height, codes = layer[kind];
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), out = image.data;
  if (kind === "before" || kind === "after") {
    const bands = codes.length / n, offset = (band) => Math.min(band, bands - 1) * n;
    const tables = [0, 1, 2].map((c) => curveTable(look, message.limits[look.limits][Math.min(c, bands - 1)]));
    const places = [0, 1, 2].map(offset);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < 3; c++) out[4 * i + c] = tables[c][codes[places[c] + i]];
      out[4 * i + 3] = 255;
      if (Number.isNaN(HALF[codes[i]])) out.set(NOT_A_NUMBER, 4 * i);
    }
  } else {
    const table = kind === "residual" ? residualTable(look, message.residual_limit) : uncertaintyTable(look, message.uncertainty_limit);
    for (let i = 0; i < n; i++) {
      const code = 3 * codes[i];
      for (let c = 0; c < 3; c++) out[4 * i + c] = table[code + c];
      out[4 * i + 3] = 255;
      if (Number.isNaN(HALF[codes[i]])) out.set(NOT_A_NUMBER, 4 * i);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Values of a layer at a pixel of the whole image, one a band, in the image's units; null outside. */
function valuesAt(layer, kind, x, y, message) {
  const column = Math.floor((x - layer.x0) / layer.factor), row = Math.floor((y - layer.y0) / layer.factor);
  if (!layer[kind] || column < 0 || row < 0 || column >= layer.width || row >= layer.height) return null;
  const n = layer.width * layer.height, bands = layer[kind].length / n, values = [];
  for (let band = 0; band < bands; band++) {
    const offset = kind === "before" || kind === "after" ? message.offsets[band] : 0;
    values.push(HALF[layer[kind][band * n + row * layer.width + column]] * message.gain + offset);
  }
  return values;
}

/** A number with three significant digits, or all of a whole one. */
function digits(value) {
  if (!Number.isFinite(value)) return "no value";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  return value.toFixed(Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(size)))));
}
