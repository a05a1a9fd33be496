// Images on canvases, one canvas pixel for each of the image, in colours of a map of 256.

function colorMap(digits) {
  const colors = new Uint8Array(768);
  for (let i = 0; i < 768; i++) colors[i] = parseInt(digits.substr(2 * i, 2), 16);
  return colors;
}

/** Draw values (h x w) between low and high; gamma 0.5 draws square roots. */
function paint(canvas, data, [h, w], colors, [low, high], gamma = 1) {
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  const scale = 1 / (high - low || 1);
  for (let i = 0; i < h * w; i++) {
    const part = Math.min(Math.max((data[i] - low) * scale, 0), 1);
    const c = 3 * Math.round(255 * (gamma === 1 ? part : part ** gamma));
    image.data.set([colors[c], colors[c + 1], colors[c + 2], 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

/** A colour bar: the map from left to right. */
function paintBar(canvas, colors, gamma = 1) {
  const ramp = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  paint(canvas, ramp, [1, 256], colors, [0, 1], gamma);
}

/** "0.25", "1.2e-3", "-3": a number for a colour bar or a readout. */
function short(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}
