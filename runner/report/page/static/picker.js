// Picking a scan position: its measured pattern, the modelled one, and what is left between them.

/** Call back with (x, y) as fractions of the element while a mouse moves or a finger drags on it. */
function onPointer(element, callback) {
  const told = (event) => {
    const box = element.getBoundingClientRect();
    callback((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  element.addEventListener("pointerdown", told);
  element.addEventListener("pointermove", told);
}

/** Call back with (rows, columns) for arrow keys, ten at a time with Shift. */
function onArrows(element, callback) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  element.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const factor = event.shiftKey ? 10 : 1;
    callback(step[0] * factor, step[1] * factor);
  });
}

const RESIDUAL_SIGMA = 3; // half width of the residual's colour scale

/** root: the picker; sample: the page's data; held: its arrays; maps: colour maps. */
function picker(root, sample, held, maps) {
  const find = (name) => root.querySelector(`[data-image="${name}"]`);
  const n = sample.window;
  const [rows, cols] = sample.counts.shape;
  const [, scanCols] = sample.scan;
  const [height, width] = sample.shape;
  const choice = root.querySelector("select");
  const readout = root.querySelector("output");
  const models = {};
  const at = { row: Math.floor(rows / 2), col: Math.floor(cols / 2) };

  const indexOf = (row, col) => row * sample.stride * scanCols + col * sample.stride;
  const placeOf = (row, col) => {
    const index = indexOf(row, col);
    return [held.positions[2 * index], held.positions[2 * index + 1]];
  };

  function draw() {
    const [y, x] = placeOf(at.row, at.col);
    const start = (at.row * cols + at.col) * n * n;
    const measured = new Float32Array(n * n);
    for (let k = 0; k < n * n; k++) measured[k] = held.counts.at(start + k);
    const electrons = measured.map((value) => value / sample.gain);
    paint(find("measured"), electrons, [n, n], maps.pattern, [0, held.brightest], 0.5);
    const told = [
      `scan row ${at.row * sample.stride}, column ${at.col * sample.stride}`,
      `${Math.round(electrons.reduce((a, b) => a + b))} electrons measured`,
    ];
    if (held.x) {
      const name = choice.value;
      models[name] ??= forwardModel(sample, sample.specs[name]);
      const modelled = models[name](held.x, held.probe, y, x);
      const residual = modelled.map((value, k) =>
        normalisedResidual(measured[k], value, sample.gain, sample.readNoise),
      );
      paint(find("modelled"), modelled, [n, n], maps.pattern, [0, held.brightest], 0.5);
      const ends = [-RESIDUAL_SIGMA, RESIDUAL_SIGMA];
      paint(find("residual"), residual, [n, n], maps.difference, ends);
      told.push(`${Math.round(modelled.reduce((a, b) => a + b))} modelled`);
      told.push(`reduced chi-square ${chiSquare(measured, modelled).toFixed(3)}`);
    }
    readout.textContent = told.join("; ");
    root.dataset.row = at.row;
    root.dataset.col = at.col;
    for (const mark of root.querySelectorAll(".mark")) {
      mark.setAttribute("transform", `translate(${x} ${y})`);
    }
    root.querySelector(".cell")?.setAttribute(
      "transform",
      `translate(${at.col * sample.stride} ${at.row * sample.stride})`,
    );
  }

  function chiSquare(measured, modelled) {
    let [squared, variance] = [0, 0];
    for (let k = 0; k < n * n; k++) {
      squared += (measured[k] - sample.gain * modelled[k]) ** 2;
      variance += sample.gain ** 2 * modelled[k] + sample.readNoise ** 2;
    }
    return squared / variance;
  }

  function move(row, col) {
    at.row = Math.min(Math.max(row, 0), rows - 1);
    at.col = Math.min(Math.max(col, 0), cols - 1);
    draw();
  }

  function nearest(fractionX, fractionY) {
    const [x, y] = [fractionX * width - 0.5, fractionY * height - 0.5];
    let [best, found] = [Infinity, [at.row, at.col]];
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        const [py, px] = placeOf(row, col);
        const distance = (py - y) ** 2 + (px - x) ** 2;
        if (distance < best) [best, found] = [distance, [row, col]];
      }
    }
    move(...found);
  }

  onPointer(root.querySelector(".over-object"), nearest);
  const map = root.querySelector(".over-scan");
  if (map) {
    onPointer(map, (fx, fy) => move(Math.floor(fy * rows), Math.floor(fx * cols)));
  }
  onArrows(root.querySelector("[tabindex]"), (dr, dc) => move(at.row + dr, at.col + dc));
  choice?.addEventListener("change", draw);
  draw();
  return {
    modelAt: (name, row, col) =>
      forwardModel(sample, sample.specs[name])(held.x, held.probe, ...placeOf(row, col)),
  };
}
