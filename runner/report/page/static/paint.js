// Images on canvases, one canvas pixel for each of the image, in colours of a map of 256.

/** 256 colours as the four bytes of a canvas' pixel each, from hexadecimal digits. */
function colorMap(digits) {
  const bytes = new Uint8Array(1024).fill(255);
  for (let i = 0; i < 768; i++) {
    bytes[4 * Math.floor(i / 3) + (i % 3)] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return new Uint32Array(bytes.buffer);
}

/** Draw values (h x w) between low and high; gamma 0.5 draws square roots. */
function paint(canvas, data, [h, w], colors, [low, high], gamma = 1) {
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  const scale = 1 / (high - low || 1);
  for (let i = 0; i < h * w; i++) {
    const part = Math.min(Math.max((data[i] - low) * scale, 0), 1);
    pixels[i] = colors[Math.round(255 * (gamma === 1 ? part : part ** gamma))];
  }
  context.putImageData(image, 0, 0);
}

/** A colour bar: the map from left to right. */
function paintBar(canvas, colors, gamma = 1) {
  const ramp = Float32Array.from({ length: 256 }, (_, i) => i / 255);
  paint(canvas, ramp, [1, 256], colors, [0, 1], gamma);
}
