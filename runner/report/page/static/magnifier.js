// One lens over truth, reconstruction and difference, at the same place in all three.

const LENS_SHARE = 0.42; // side of the lens, as a share of the image's
const LENS_PIXELS = 1 / 7; // what it shows, as a share of the image's side

/** root: the group of views; images: [{name, data}]; shape: [h, w]. */
function magnifier(root, images, [height, width]) {
  const views = [...root.querySelectorAll(".view")];
  const readout = root.querySelector("output");
  const at = { row: Math.floor(height / 2), col: Math.floor(width / 2) };
  const side = Math.max(5, Math.round(Math.min(height, width) * LENS_PIXELS));

  for (const view of views) {
    const lens = document.createElement("canvas");
    lens.className = "lens";
    lens.width = lens.height = side;
    lens.style.width = `${100 * LENS_SHARE}%`;
    view.append(lens);
  }

  function show(visible) {
    root.classList.toggle("magnified", visible);
  }

  function draw() {
    for (const view of views) {
      const lens = view.querySelector(".lens");
      const context = lens.getContext("2d");
      const middle = Math.floor(side / 2);
      context.imageSmoothingEnabled = false;
      context.clearRect(0, 0, side, side);
      const from = view.querySelector("canvas:not(.lens)");
      context.drawImage(from, at.col - middle, at.row - middle, side, side, 0, 0, side, side);
      lens.style.left = `${(100 * (at.col + 0.5)) / width}%`;
      lens.style.top = `${(100 * (at.row + 0.5)) / height}%`;
    }
    const told = images.map(({ name, data }) => {
      const value = data[at.row * width + at.col];
      return `${name} ${name === "difference" && value > 0 ? "+" : ""}${value.toFixed(3)}`;
    });
    readout.textContent = `row ${at.row}, column ${at.col}: ${told.join(", ")}`;
  }

  function move(row, col) {
    at.row = Math.min(Math.max(row, 0), height - 1);
    at.col = Math.min(Math.max(col, 0), width - 1);
    show(true);
    draw();
  }

  for (const view of views) {
    onPointer(view, (fractionX, fractionY) =>
      move(Math.floor(fractionY * height), Math.floor(fractionX * width)),
    );
  }
  root.addEventListener("pointerleave", () => show(root.contains(document.activeElement)));
  root.addEventListener("focusin", () => move(at.row, at.col));
  root.addEventListener("focusout", () => show(false));
  onArrows(root.querySelector("[tabindex]"), (rows, cols) => move(at.row + rows, at.col + cols));
  draw();
}
