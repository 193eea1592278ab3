// What one sees of a model, a picture, an answer.

const MOST_HEAT = 0.8; // Of the heat map's opacity.

export const $ = (id) => document.getElementById(id);
const [picture, heat, stage] = [$("picture"), $("heat"), $("stage")];

export function describe(text, name) {
  const bold = document.createElement("b");
  bold.textContent = name ?? "";
  $("model").replaceChildren(...(name ? [bold, ` ${text}`] : [text]));
}

// The picture no larger than a screen needs it.
export function draw(bitmap) {
  const scale = Math.min(1, 1280 / Math.max(bitmap.width, bitmap.height));
  const small = Math.max(1, 480 / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale * small));
  const height = Math.max(1, Math.round(bitmap.height * scale * small));
  for (const canvas of [picture, heat]) {
    // One that is given a size is bare, also where it had that size: the camera's map would flicker.
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }
  delete stage.dataset.empty;
  const context = picture.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(bitmap, 0, 0, picture.width, picture.height);
  picture.scale = picture.width / bitmap.width;
}

// The answer for what has this name; `choose` is called with the class whose bar is pressed.
export function showAnswer(answer, name, choose) {
  const [best] = answer.top;
  const percent = (share) => `${(share * 100).toFixed(1)}%`;
  $("file").textContent = name;
  const unknown = answer.unknown > 0.5; // Like none of the classes: they are a guess then.
  $("label").textContent = unknown ? "unknown" : best.label;
  $("probability").textContent = percent(unknown ? answer.unknown : best.probability);
  const top = answer.top.slice(0, 5);
  const bars = $("bars");
  while (bars.children.length > top.length) bars.lastChild.remove();
  while (bars.children.length < top.length) bars.append(bar(choose));
  top.forEach(({ index, label, probability }, at) => {
    const button = bars.children[at].firstChild;
    const [left, right, share] = button.children;
    left.textContent = label;
    right.textContent = percent(probability);
    share.style.setProperty("--share", percent(probability));
    button.dataset.index = index;
    button.title = `Show what speaks for ${label}`;
  });
  const time = (milliseconds) => `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
  $("time-infer").textContent = time(answer.times.infer);
  $("time-prepare").textContent = time(answer.times.prepare);
  const more = answer.logits.length > 8 ? " …" : "";
  $("logits").textContent = [...answer.logits.slice(0, 8)].join(" ") + more;
  $("answer").hidden = false;
  $("answer").dataset.count = Number($("answer").dataset.count ?? 0) + 1;
}

// One that stays where it is, and keeps the focus, while the camera changes what it says.
function bar(choose) {
  const make = (tag) => document.createElement(tag);
  const [item, button, ...parts] = ["li", "button", "span", "span", "i"].map(make);
  button.type = "button";
  button.onclick = () => choose(Number(button.dataset.index));
  button.append(...parts);
  item.append(button);
  return item;
}

export function clearHeat() {
  const context = heat.getContext("2d");
  context.clearRect(0, 0, heat.width, heat.height);
  return context;
}

// What speaks for a class, over the picture: where it is above zero, in the colours of fire. Without a map the
// picture is bare.
export function paint(map, index, label, colours) {
  const context = clearHeat();
  stage.classList.toggle("heated", $("show-heat").checked);
  for (const button of $("bars").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
  }
  $("heat-class").textContent = label;
  if (!map) return;
  const { rows, columns, values, used, covers } = map;
  const most = values.reduce((most, value) => Math.max(most, value), 0);
  const image = new ImageData(columns, rows);
  values.forEach((value, at) => {
    const warmth = most > 0 ? Math.max(0, value) / most : 0;
    const colour = Math.round(warmth * 255);
    image.data.set(colours.subarray(colour * 3, colour * 3 + 3), at * 4);
    image.data[at * 4 + 3] = Math.round(255 * MOST_HEAT * Math.sqrt(warmth));
  });
  const grid = new OffscreenCanvas(columns, rows);
  grid.getContext("2d").putImageData(image, 0, 0);
  context.save();
  context.scale(picture.scale, picture.scale);
  context.beginPath();
  context.rect(...used);
  context.clip();
  context.imageSmoothingQuality = "high";
  context.drawImage(grid, ...covers);
  context.restore();
}
