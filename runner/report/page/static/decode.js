// Arrays as encode.py packs them: deflated, in base64; value = low + step * code.

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

async function inflate(text) {
  const raw = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** {shape, codes, at(i)}: the array's shape, its codes, and the value of entry i. */
async function decode(packed) {
  const codes = new KINDS[packed.type](await inflate(packed.data));
  const { low = 0, step = 1 } = packed;
  return { shape: packed.shape, codes, at: (i) => low + step * codes[i] };
}

/** All values of a packed array, as Float32Array. */
async function values(packed) {
  const array = await decode(packed);
  return Float32Array.from(array.codes, (_, i) => array.at(i));
}
