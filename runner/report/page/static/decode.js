// Arrays as encode.py packs them: deflated, in base64; value = low + step * code.

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

async function inflate(text) {
  const letters = atob(text);
  const raw = new Uint8Array(letters.length);
  for (let i = 0; i < raw.length; i++) raw[i] = letters.charCodeAt(i);
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
  const { codes, at } = await decode(packed);
  const found = new Float32Array(codes.length);
  for (let i = 0; i < found.length; i++) found[i] = at(i);
  return found;
}
