// The engine beside the page: however much a model computes, the page stays awake.

import { Engine } from "./kiln.js";

const BAND = 1 << 20; // Pixels that are taken out of a picture at a time.
const PART = 100; // Milliseconds of an occlusion between which other questions are answered.
const WARM = 100; // Milliseconds in which the browser may make the engine fast, before it is timed.
let engine;

const work = {
  async model({ file }) {
    const module = await WebAssembly.compileStreaming(fetch("kiln.wasm"));
    engine = new Engine(module, new Uint8Array(file));
    if (engine.about.takesPictures) {
      engine.prepare(1, 1, () => [127, 127, 127, 255]);
      for (const end = performance.now() + WARM; performance.now() < end; ) engine.infer();
    }
    return { about: engine.about, colours: engine.colours() };
  },

  picture({ bitmap }) {
    if (!engine) throw new Error("choose a model first");
    const begin = performance.now();
    engine.prepare(bitmap.width, bitmap.height, rows(bitmap));
    bitmap.close();
    const prepared = performance.now();
    const { top, logits, unknown } = engine.infer();
    const done = performance.now();
    const map = engine.about.hasMaps ? engine.map(top[0].index) : null;
    return { top, logits, unknown, map, times: { prepare: prepared - begin, infer: done - prepared } };
  },

  map({ index }) {
    return { map: engine.map(index) };
  },

  occlude({ index, begin }) {
    if (begin) engine.beginOcclusion(index);
    return engine.occlude(PART);
  },
};

// Reads a picture band by band, so that a large one needs no canvas of its size.
function rows(bitmap) {
  const { width, height } = bitmap;
  const high = Math.min(height, Math.max(1, Math.floor(BAND / width)));
  const canvas = new OffscreenCanvas(width, high);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`the browser has no canvas for ${width} × ${height} pixels`);
  context.globalCompositeOperation = "copy";
  let from = -1;
  let data;
  return (first, count) => {
    const parts = [];
    for (let row = first; row < first + count; ) {
      const start = Math.floor(row / high) * high;
      if (start !== from) {
        const rest = Math.min(high, height - start);
        context.drawImage(bitmap, 0, start, width, rest, 0, 0, width, rest);
        data = context.getImageData(0, 0, width, rest).data;
        from = start;
      }
      const end = Math.min(first + count, start + high);
      parts.push(data.subarray((row - start) * width * 4, (end - start) * width * 4));
      row = end;
    }
    if (parts.length === 1) return parts[0];
    const all = new Uint8Array(count * width * 4);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
}

onmessage = async ({ data }) => {
  try {
    postMessage({ id: data.id, answer: await work[data.what](data) });
  } catch (error) {
    postMessage({ id: data.id, error: error.message || String(error) });
  }
};
