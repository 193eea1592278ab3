// Int8 inference in headless Chromium on one thread: Kiln's engine beside ONNX Runtime for web pages, on the
// same quantized model. In turns; of each side the median of each round, and of those the best.
//
//   cargo xtask bench web [--rounds 15] [--model models/catsdogs-nano]

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    packages: { type: "string" },
    engine: { type: "string" },
    rounds: { type: "string", default: "15" },
    model: { type: "string", default: "models/catsdogs-nano" },
  },
});
const { chromium } = createRequire(`${resolve(options.packages)}/`)("playwright-core");
const ort = join(options.packages, "node_modules/onnxruntime-web");

// What the page may load: everything from here.
const files = {
  "/": () => "<!doctype html><title>bench</title>",
  "/kiln.js": () => readFile("web/page/kiln.js"),
  "/kiln.wasm": () => readFile(options.engine),
  "/model.kiln": () => readFile(join(options.model, "model.wasm32.kiln")),
  "/model.onnx": () => readFile(join(options.model, "model.int8.onnx")),
};
const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  const dist = path.match(/^\/ort\/([\w.-]+)$/);
  const read = files[path] ?? (dist && (() => readFile(join(ort, "dist", dist[1]))));
  try {
    const bytes = await read();
    response.setHeader("Content-Type", types[extname(path)] ?? "text/html");
    response.end(bytes);
  } catch {
    response.statusCode = 404;
    response.end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const names = ["chromium", "chromium-browser", "google-chrome"];
const places = (process.env.PATH ?? "").split(":").flatMap((at) => names.map((name) => join(at, name)));
const executablePath = process.env.KILN_CHROMIUM ?? places.find((place) => existsSync(place));
const browser = await chromium.launch({ executablePath });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);

const found = await page.evaluate(async (rounds) => {
  const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
  const { Engine } = await import("/kiln.js");
  const engine = new Engine(await WebAssembly.compileStreaming(fetch("/kiln.wasm")), await bytes("/model.kiln"));
  const { rows, columns, channels } = engine.about;
  engine.prepare(columns, rows, (first, count) => {
    const rgba = new Uint8Array(count * columns * 4).fill(255);
    for (let at = 0; at < rgba.length; at += 1) if (at % 4 < 3) rgba[at] = ((first * columns * 4 + at) * 37) % 256;
    return rgba;
  });

  const ort = await import("/ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await bytes("/model.onnx"), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const data = Float32Array.from({ length: rows * columns * channels }, (_, at) => ((at * 37) % 256) / 128 - 1);
  const input = new ort.Tensor("float32", data, [1, channels, rows, columns]);
  const feeds = { [session.inputNames[0]]: input };

  const sides = {
    kiln: async () => engine.infer(),
    ort: async () => session.run(feeds),
  };
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const best = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const [side, run] of Object.entries(sides)) {
      const times = [];
      for (const end = performance.now() + 300; performance.now() < end; ) {
        // The clock is coarse: several at a time.
        const begin = performance.now();
        for (let many = 0; many < 10; many += 1) await run();
        times.push((performance.now() - begin) / 10);
      }
      best[side] = Math.min(best[side] ?? Infinity, median(times));
    }
  }
  return { ...best, name: engine.about.name, agent: navigator.userAgent };
}, Number(options.rounds));
await browser.close();
server.close();

const microseconds = (milliseconds) => `${(milliseconds * 1000).toFixed(0)} µs`;
console.log(`${found.name}, int8, one thread, ${found.agent.match(/Chrome\/\d+/) ?? "Chromium"}`);
console.log(`kiln                        ${microseconds(found.kiln)}`);
const { version } = JSON.parse(await readFile(join(ort, "package.json")));
console.log(`onnxruntime-web ${version}      ${microseconds(found.ort)}`);
console.log(`kiln is ${(found.ort / found.kiln).toFixed(2)} times as fast`);
