// Files and the camera go to the engine, its answers to what one sees.

import { Engine } from "./engine.js";
import { $, clearHeat, describe, draw, paint, showAnswer } from "./view.js";

const MAX_FILE = 64 << 20; // As on the command line: bytes of a picture's file,
const MAX_PIXELS = 100e6; // and its pixels.
const NO_MODEL = "no model: choose or drop a .kiln file";
const OUTDATED = new Error("something else was chosen meanwhile"); // Nobody needs to be told.

const stage = $("stage");
const latest = { model: 0, asked: 0, picture: 0 }; // Of what was chosen, the last of each kind.
let choices = 0;
let waiting = 0; // Actions that are not done yet.
let engine;
let colours;
let about;
let explaining; // What stands for the map that is being made.
let last; // The picture's file and which choice it was, for the next model.
let camera; // The promise of its stream, while it is on or begins.

// Takes note of a choice: gives whether it still is the last of its kind.
function choose(kind, number = ++choices) {
  latest[kind] = Math.max(latest[kind], number);
  return () => number === latest[kind];
}

// What is promised, if it is still wanted once it is there.
async function still(wanted, promise) {
  const [{ value, reason }] = await Promise.allSettled([promise]);
  if (!wanted()) throw OUTDATED;
  if (reason) throw reason;
  return value;
}

function named(name, error) {
  return error === OUTDATED ? error : new Error(`${name}: ${error.message}`);
}

async function openModel(file, name, wanted) {
  // One that is refused leaves the one before it where it is.
  const next = new Engine();
  try {
    const answer = await still(wanted, next.ask("model", { file }, [file]));
    if (!answer.about.takesPictures) {
      throw new Error("it has no recipe for pictures: compile it from an ONNX file with one");
    }
    engine?.end(OUTDATED);
    engine = next;
    ({ about, colours } = answer);
    forget();
    $("problem").hidden = true; // A picture that was chosen before there was a model.
  } catch (error) {
    next.end(OUTDATED);
    if (error !== OUTDATED && !about) describe(NO_MODEL);
    throw named(name, error);
  }
  next.addEventListener("end", () => {
    engine = about = undefined;
    forget();
    describe(NO_MODEL);
  });
  const kilobytes = (bytes) => `${(bytes / 1024).toFixed(0)} KB`;
  describe(
    `${about.columns} × ${about.rows} · ${about.labels.length} classes · ` +
      `${(about.macs / 1e6).toPrecision(3)} M MAC · ${kilobytes(about.bytes)} · ` +
      `arena ${kilobytes(about.arena)} · for ${about.target}`,
    about.name || name,
  );
  if (last && !camera) await openPicture(last.file, last.number);
}

// What is shown next, nobody has said anything of yet.
function forget() {
  stopExplaining();
  $("answer").hidden = true;
  clearHeat();
}

// A file counts once it is a picture: until then the one before it does, whose answer may be still to come.
async function openPicture(file, number) {
  const asked = choose("asked", number);
  const bitmap = await decode(file).catch((error) => {
    throw asked() ? named(file.name, error) : OUTDATED;
  });
  const wanted = choose("picture", number);
  if (!wanted()) throw OUTDATED;
  last = { file, number };
  forget();
  await classify(bitmap, file.name, wanted);
}

async function decode(file) {
  if (file.size > MAX_FILE) throw new Error("larger than 64 MiB");
  let bitmap;
  try {
    // No colour management, as on the command line: the values that are in the file.
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("no picture that this browser can decode; try a PNG or a JPEG");
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) throw new Error("more than 100 megapixels");
  return bitmap;
}

async function classify(bitmap, name, wanted) {
  if (!about) throw new Error("there is no model: choose one");
  stopExplaining();
  draw(bitmap);
  try {
    const answer = await still(wanted, engine.ask("picture", { bitmap }, [bitmap]));
    const [{ index }] = answer.top;
    showAnswer(answer, name, (index) => attempt(() => explain(index))());
    paintClass(answer.map, index);
    if (!about.hasMaps) attempt(() => explain(index))();
  } catch (error) {
    throw named(name, error);
  }
}

function paintClass(map, index) {
  paint(map, index, about.labels[index], colours);
}

// What speaks for a class: at once where the network gives maps, else by covering place after place. The
// camera's pictures go by too fast for either.
async function explain(index) {
  if (camera) return;
  const own = stopExplaining();
  const wanted = () => explaining === own;
  if (about.hasMaps) {
    const { map } = await still(wanted, engine.ask("map", { index }));
    paintClass(map, index);
    return;
  }
  paintClass(null, index);
  stage.ariaBusy = "true";
  for (let begin = true; ; begin = false) {
    const { done, map } = await still(wanted, engine.ask("occlude", { index, begin }));
    $("covering").textContent = `covering place after place: ${Math.round(done * 100)}%`;
    if (!map) continue;
    stopExplaining();
    paintClass(map, index);
    return;
  }
}

// Nobody waits for a map any more; what stands for the next.
function stopExplaining() {
  stage.ariaBusy = "false";
  $("covering").textContent = "";
  return (explaining = {});
}

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("this browser gives no camera to this page");
  const number = ++choices;
  choose("asked", number);
  const own = navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment", width: { ideal: 640 } },
  });
  setCamera(own);
  const given = own.catch((error) => {
    throw new Error(`no camera: ${error.message}`);
  });
  const stream = await still(() => camera === own, given);
  const wanted = choose("picture", number);
  const on = () => camera === own && wanted();
  for (const track of stream.getTracks()) {
    track.onended = attempt(() => {
      throw new Error("the camera is gone");
    });
  }
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await still(on, video.play());
  forget();
  attempt(async () => {
    for (;;) {
      const frame = await still(on, createImageBitmap(video));
      await classify(frame, "camera", on).catch((error) => {
        // Another model came while it was looked at: the next frame is that one's.
        if (error !== OUTDATED || !on()) throw error;
      });
      await new Promise(requestAnimationFrame);
    }
  })();
}

function stopCamera() {
  // One that is only just asked for is stopped when it comes.
  camera?.then((stream) => stream.getTracks().forEach((track) => track.stop())).catch(() => {});
  setCamera(undefined);
}

function setCamera(promised) {
  camera = promised;
  $("camera").setAttribute("aria-pressed", String(Boolean(camera)));
  $("camera").textContent = camera ? "Stop camera" : "Camera";
  $("answer").ariaLive = camera ? "off" : "polite"; // It would never end to be read out.
}

// Whatever goes wrong is said on the page.
function attempt(action) {
  return async (event) => {
    $("problem").hidden = true;
    try {
      await action(event);
    } catch (error) {
      if (error === OUTDATED) return;
      stopCamera();
      $("problem").textContent = error.message;
      $("problem").hidden = false;
    }
  };
}

// The same for what one waits for.
function busy(action) {
  const main = document.querySelector("main");
  const attempted = attempt(action);
  return async (event) => {
    main.ariaBusy = String(Boolean((waiting += 1)));
    await attempted(event);
    main.ariaBusy = String(Boolean((waiting -= 1)));
  };
}

async function open(file) {
  if (!file) return;
  const number = ++choices;
  stopCamera();
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (file.name.endsWith(".kiln") || String.fromCharCode(...start) === "KILN") {
    const wanted = choose("model", number);
    await openModel(await still(wanted, file.arrayBuffer()), file.name, wanted);
  } else {
    await openPicture(file, number);
  }
}

for (const id of ["choose-model", "choose-picture"]) {
  $(id).onchange = busy(({ target }) => {
    const [file] = target.files;
    target.value = ""; // So that the same file may be chosen again, mended.
    return open(file);
  });
}
$("camera").onclick = busy(() => (camera ? stopCamera() : startCamera()));
$("show-heat").onchange = () => stage.classList.toggle("heated", $("show-heat").checked);
addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
addEventListener("dragleave", () => stage.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const [file] = event.dataTransfer.files;
  busy(() => open(file))();
});

busy(async () => {
  const wanted = choose("model");
  const response = await fetch("model.kiln").catch(() => undefined);
  if (response?.ok) await openModel(await still(wanted, response.arrayBuffer()), "model.kiln", wanted);
  else if (wanted()) describe(NO_MODEL);
})().finally(() => {
  // Only now: what keeps the page must not come between the page and its own start.
  navigator.serviceWorker?.register("offline.js").catch(() => {});
});
