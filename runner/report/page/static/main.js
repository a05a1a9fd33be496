// Opens the page's data and fills every canvas.

const POWER_SCALE = [-6, 0]; // log10 of power over its peak

async function openSample(section, sample, maps, index) {
  const picture = (name) => section.querySelectorAll(`[data-image="${name}"]`);
  const put = (name, data, shape, map, ends, gamma) => {
    for (const canvas of picture(name)) paint(canvas, data, shape, map, ends, gamma);
  };
  const images = {};
  for (const [name, packed] of Object.entries(sample.images)) {
    images[name] = await values(packed);
    put(name, images[name], sample.shape, maps.object, [0, 1]);
    const shown = `.gallery [data-sample="${index}"][data-scenario="${name}"]`;
    for (const canvas of document.querySelectorAll(shown)) {
      paint(canvas, images[name], sample.shape, maps.object, [0, 1]);
    }
  }
  const pacbed = await values(sample.pacbed);
  const peak = pacbed.reduce((a, b) => Math.max(a, b), 0);
  put("pacbed", pacbed, sample.pacbed.shape, maps.pattern, [0, peak], 0.5);
  for (const name of ["power", "truePower"]) {
    if (sample[name]) {
      put(name, await values(sample[name]), sample.shape, maps.power, POWER_SCALE);
    }
  }
  if (sample.misfit) {
    put("misfit", await values(sample.misfit), sample.scan, maps.misfit, sample.misfitRange);
  }
  const lens = ["truth", "III"].filter((name) => images[name]);
  const shown = lens.map((name) => ({
    name: name === "III" ? "reconstruction" : name,
    data: images[name],
  }));
  if (sample.x && images.truth) {
    const x = await values(sample.x);
    const difference = x.map((value, i) => value - images.truth[i]);
    const limit = sample.differenceLimit;
    put("difference", difference, sample.shape, maps.difference, [-limit, limit]);
    shown.push({ name: "difference", data: difference });
  }
  const group = section.querySelector(".magnify");
  if (group) magnifier(group, shown, sample.shape);
  const held = {
    brightest: sample.brightest,
    counts: await decode(sample.counts),
    positions: await values(sample.positions),
    probe: await Promise.all(sample.probe.map(values)),
    x: sample.x ? await values(sample.x) : null,
  };
  return picker(section.querySelector(".picker"), sample, held, maps);
}

async function openPage() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const maps = {};
  for (const [name, digits] of Object.entries(data.maps)) maps[name] = colorMap(digits);
  for (const bar of document.querySelectorAll("canvas[data-bar]")) {
    paintBar(bar, maps[bar.dataset.bar], Number(bar.dataset.gamma ?? 1));
  }
  themeSwitch(document.getElementById("theme"));
  const pickers = await Promise.all(
    data.samples.map((sample, index) =>
      openSample(document.querySelector(`.sample[data-sample="${index}"]`), sample, maps, index),
    ),
  );
  window.stem4dReport = { pickers };
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

openPage().catch((error) => {
  const notice = document.getElementById("failed");
  notice.hidden = false;
  notice.textContent = `The images of this page could not be drawn: ${error.message}. A browser of 2023 or later is needed.`;
  throw error;
});
