// The contract's imaging model (docs/contract.md, section 1), computed for one scan position:
//
//   t = exp(i phase_scale x),  psi(j) = P(j) t(R + j - n/2),  I(d) = dose dq/dd |A_y psi A_x^T|^2
//   A[d, j] = exp(-2 pi i q(d) (j - n/2) / n) / sqrt(n),  q(d) = (d - n/2 - dc) / scale
//
// Complex matrices are pairs of Float64Array, rows first.

function fourierMatrix(n, q) {
  const re = new Float64Array(n * n);
  const im = new Float64Array(n * n);
  const half = Math.floor(n / 2);
  for (let d = 0; d < n; d++) {
    for (let j = 0; j < n; j++) {
      const angle = (-2 * Math.PI * q(d) * (j - half)) / n;
      re[d * n + j] = Math.cos(angle) / Math.sqrt(n);
      im[d * n + j] = Math.sin(angle) / Math.sqrt(n);
    }
  }
  return [re, im];
}

/** left (n x n) times right (n x n), or times its transpose. */
function product([ar, ai], [br, bi], n, transposed) {
  const re = new Float64Array(n * n);
  const im = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const [xr, xi] = [ar[i * n + k], ai[i * n + k]];
      for (let j = 0; j < n; j++) {
        const b = transposed ? j * n + k : k * n + j;
        re[i * n + j] += xr * br[b] - xi * bi[b];
        im[i * n + j] += xr * bi[b] + xi * br[b];
      }
    }
  }
  return [re, im];
}

/** Moves a band-limited window by a fraction of a pixel, as the matrix that acts on its columns. */
function shiftMatrix(n, fraction) {
  const re = new Float64Array(n * n);
  const im = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < n; k++) {
      for (let m = -Math.floor(n / 2); m < Math.ceil(n / 2); m++) {
        const angle = (2 * Math.PI * m * (j - k - fraction)) / n;
        re[j * n + k] += Math.cos(angle) / n;
        im[j * n + k] += Math.sin(angle) / n;
      }
    }
  }
  return [re, im];
}

/** To the nearest whole number, halves to the even one: as the operator rounds positions. */
function roundEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/**
 * patternAt(x, probe, row, col) -> expected electrons (n x n) on a detector.
 *
 * sample: the page's data; spec: [dL in %, dc in pixels, eps].
 */
function forwardModel(sample, [length, offset, ellipse]) {
  const n = sample.window;
  const [height, width] = sample.shape;
  const half = Math.floor(n / 2);
  const scaleY = (1 + length / 100) * (1 - ellipse);
  const scaleX = (1 + length / 100) * (1 + ellipse);
  const left = fourierMatrix(n, (d) => (d - half - offset) / scaleY);
  const right = fourierMatrix(n, (d) => (d - half - offset) / scaleX);
  const weight = sample.dose / (scaleY * scaleX);

  function probeAt(probe, row, col) {
    const [dy, dx] = [row - roundEven(row), col - roundEven(col)];
    if (dy === 0 && dx === 0) return probe;
    return product(product(shiftMatrix(n, dy), probe, n), shiftMatrix(n, dx), n, true);
  }

  return function patternAt(x, probe, row, col) {
    const [pr, pi] = probeAt(probe, row, col);
    const psi = [new Float64Array(n * n), new Float64Array(n * n)];
    const [top, first] = [roundEven(row) - half, roundEven(col) - half];
    for (let i = 0; i < n; i++) {
      const r = (((top + i) % height) + height) % height;
      for (let j = 0; j < n; j++) {
        const c = (((first + j) % width) + width) % width;
        const phase = sample.phaseScale * x[r * width + c];
        const [tr, ti] = [Math.cos(phase), Math.sin(phase)];
        const k = i * n + j;
        psi[0][k] = pr[k] * tr - pi[k] * ti;
        psi[1][k] = pr[k] * ti + pi[k] * tr;
      }
    }
    const [re, im] = product(product(left, psi, n), right, n, true);
    return Float32Array.from(re, (value, k) => weight * (value * value + im[k] * im[k]));
  };
}

/**
 * Residual of a count in standard deviations, after the generalised Anscombe transform: finite where
 * next to nothing is expected, 1 wide where there are electrons (Starck, Murtagh & Bijaoui 1998).
 */
function normalisedResidual(counts, electrons, gain, readNoise) {
  const noise = 3 / 8 + (readNoise / gain) ** 2;
  const root = (value) => 2 * Math.sqrt(Math.max(value + noise, 0));
  return root(counts / gain) - root(electrons);
}
