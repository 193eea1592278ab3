// What one sees: files and the camera go to the worker, its answers to the page.

const MAX_FILE = 64 << 20; // As on the command line: bytes of a picture's file,
const MAX_PIXELS = 100e6; // and its pixels.
const PATIENCE = 30e3; // Milliseconds that an answer may take.
const MOST_HEAT = 0.8; // Of the heat map's opacity.

const $ = (id) => document.getElementById(id);
const [picture, heat, stage] = [$("picture"), $("heat"), $("stage")];
let asking = 0;
let worker;
let colours;
let about;
let shown; // The answer that is shown, with its map.
let covering; // The occlusion that is being made.
let last; // The picture's file, for the next model.
let stream;

// One question to the worker: its answer, or an Error. A worker that takes too long is ended.
function ask(what, message, transfer = [], asked = worker) {
  const id = ++asking;
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      asked.terminate();
      if (asked === worker) about = undefined;
      reject(new Error(`no answer in ${PATIENCE / 1000} seconds; choose another model`));
    }, PATIENCE);
    const heard = ({ data }) => {
      if (data.id !== id) return;
      clearTimeout(late);
      asked.removeEventListener("message", heard);
      if (data.error) reject(new Error(data.error));
      else resolve(data.answer);
    };
    asked.addEventListener("message", heard);
    asked.postMessage({ id, what, ...message }, transfer);
  });
}

async function openModel(file, name) {
  // One that is refused leaves the one before it where it is.
  const next = new Worker("worker.js", { type: "module" });
  try {
    const answer = await ask("model", { file }, [file], next);
    if (!answer.about.takesPictures) {
      throw new Error("it has no recipe for pictures: compile it from an ONNX file with one");
    }
    worker?.terminate();
    worker = next;
    ({ about, colours } = answer);
    stopCovering();
  } catch (error) {
    next.terminate();
    throw new Error(`${name}: ${error.message}`);
  }
  const kilobytes = (bytes) => `${(bytes / 1024).toFixed(0)} KB`;
  describe(
    `${about.columns} × ${about.rows} · ${about.labels.length} classes · ` +
      `${(about.macs / 1e6).toPrecision(3)} M MAC · ${kilobytes(about.bytes)} · ` +
      `arena ${kilobytes(about.arena)} · for ${about.target}`,
    about.name || name,
  );
  if (last) await openPicture(last);
}

function describe(text, name) {
  const bold = document.createElement("b");
  bold.textContent = name ?? "";
  $("model").replaceChildren(...(name ? [bold, ` ${text}`] : [text]));
}

async function openPicture(file) {
  if (file.size > MAX_FILE) throw new Error(`${file.name}: larger than 64 MiB`);
  let bitmap;
  try {
    // No colour management, as on the command line: the values that are in the file.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name}: no picture that this browser can decode; try a PNG or a JPEG`);
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    throw new Error(`${file.name}: more than 100 megapixels`);
  }
  last = file;
  await classify(bitmap, file.name);
}

async function classify(bitmap, name) {
  if (!about) throw new Error("there is no model: choose one");
  stopCovering();
  draw(bitmap);
  try {
    show(await ask("picture", { bitmap }, [bitmap]), name);
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
}

// The picture no larger than a screen needs it.
function draw(bitmap) {
  const scale = Math.min(1, 1280 / Math.max(bitmap.width, bitmap.height));
  const small = Math.max(1, 480 / Math.max(bitmap.width, bitmap.height));
  for (const canvas of [picture, heat]) {
    canvas.width = Math.max(1, Math.round(bitmap.width * scale * small));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale * small));
  }
  delete stage.dataset.empty;
  const context = picture.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(bitmap, 0, 0, picture.width, picture.height);
  picture.scale = picture.width / bitmap.width;
}

function show(answer, name) {
  shown = answer;
  const [best] = answer.top;
  const percent = (share) => `${(share * 100).toFixed(1)}%`;
  $("file").textContent = name;
  const unknown = answer.unknown > 0.5; // Like none of the classes: they are a guess then.
  $("label").textContent = unknown ? "unknown" : best.label;
  $("probability").textContent = percent(unknown ? answer.unknown : best.probability);
  $("bars").replaceChildren(
    ...answer.top.slice(0, 5).map(({ index, label, probability }) => {
      const [item, button, bar] = ["li", "button", "i"].map((tag) => document.createElement(tag));
      const [left, right] = [label, percent(probability)].map((text) => {
        const span = document.createElement("span");
        span.textContent = text;
        return span;
      });
      bar.style.setProperty("--share", percent(probability));
      button.type = "button";
      button.dataset.index = index;
      button.title = `Show what speaks for ${label}`;
      button.onclick = attempt(() => explain(index));
      button.append(left, right, bar);
      item.append(button);
      return item;
    }),
  );
  const time = (milliseconds) => `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
  $("time-infer").textContent = time(answer.times.infer);
  $("time-prepare").textContent = time(answer.times.prepare);
  $("logits").textContent = [...answer.logits.slice(0, 8)].join(" ") + (answer.logits.length > 8 ? " …" : "");
  $("answer").hidden = false;
  $("answer").dataset.count = Number($("answer").dataset.count ?? 0) + 1;
  paint(best.index);
  if (!about.hasMaps) attempt(() => explain(best.index))();
}

// What speaks for a class: at once where the network gives maps, else by covering place after place. The
// camera's pictures go by too fast for either.
async function explain(index) {
  if (stream) return;
  const map = about.hasMaps ? (await ask("map", { index })).map : await cover(index);
  if (!map) return;
  shown = { ...shown, map };
  paint(index);
}

// The occlusion map of a class, or nothing once something else is asked for.
async function cover(index) {
  const own = stopCovering();
  shown = { ...shown, map: null };
  paint(index);
  stage.ariaBusy = "true";
  try {
    for (let begin = true; ; begin = false) {
      const { done, map } = await ask("occlude", { index, begin });
      if (covering !== own) return;
      if (map) return map;
      $("covering").textContent = `covering place after place: ${Math.round(done * 100)}%`;
    }
  } catch (error) {
    if (covering === own) throw error;
  } finally {
    if (covering === own) stopCovering();
  }
}

// Nobody waits for an occlusion any more; what stands for the next.
function stopCovering() {
  stage.ariaBusy = "false";
  $("covering").textContent = "";
  return (covering = {});
}

// The heat map over the picture: above zero, in the colours of fire.
function paint(index) {
  const context = heat.getContext("2d");
  context.clearRect(0, 0, heat.width, heat.height);
  stage.classList.toggle("heated", $("show-heat").checked);
  for (const button of $("bars").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
  }
  $("heat-class").textContent = about.labels[index];
  if (!shown?.map) return;
  const { rows, columns, values, used, covers } = shown.map;
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

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("this browser gives no camera to this page");
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 640 } },
    });
  } catch (error) {
    throw new Error(`no camera: ${error.message}`);
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").textContent = "Stop camera";
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  const own = stream;
  attempt(async () => {
    while (stream === own) {
      await classify(await createImageBitmap(video), "camera");
      await new Promise(requestAnimationFrame);
    }
  })();
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Camera";
}

// Whatever goes wrong is said on the page.
function attempt(action) {
  return async (event) => {
    $("problem").hidden = true;
    try {
      await action(event);
    } catch (error) {
      stopCamera();
      $("problem").textContent = error.message;
      $("problem").hidden = false;
    }
  };
}

// The same for what one waits for.
function busy(action) {
  const main = document.querySelector("main");
  return attempt(async (event) => {
    main.ariaBusy = "true";
    try {
      await action(event);
    } finally {
      main.ariaBusy = "false";
    }
  });
}

async function open(file) {
  if (!file) return;
  stopCamera();
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const isModel = file.name.endsWith(".kiln") || String.fromCharCode(...start) === "KILN";
  if (isModel) await openModel(await file.arrayBuffer(), file.name);
  else await openPicture(file);
}

for (const id of ["choose-model", "choose-picture"]) {
  $(id).onchange = busy(async ({ target }) => {
    const [file] = target.files;
    await open(file);
    target.value = "";
  });
}
$("camera").onclick = busy(() => (stream ? stopCamera() : startCamera()));
$("show-heat").onchange = () => stage.classList.toggle("heated", $("show-heat").checked);
addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
addEventListener("dragleave", () => stage.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  busy(() => open(event.dataTransfer.files[0]))();
});

busy(async () => {
  const response = await fetch("model.kiln").catch(() => undefined);
  if (response?.ok) await openModel(await response.arrayBuffer(), "model.kiln");
  else describe("no model yet: choose or drop a .kiln file");
})().finally(() => {
  // Only now: what keeps the page must not come between the page and its own start.
  navigator.serviceWorker?.register("offline.js").catch(() => {});
});
