// Drives headless Chromium: a step a line on stdin, as JSON; its answer a line on stdout.
//
//   node drive.mjs FOLDER CHROMIUM       where FOLDER holds node_modules with playwright-core

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${folder}/`)("playwright-core");
const browser = await chromium.launch({
  executablePath,
  args: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
});
const context = await browser.newContext({ permissions: ["camera"] });
const page = await context.newPage();
const requests = new Set();
const complaints = [];
context.on("request", (request) => requests.add(new URL(request.url()).origin));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));

const idle = () => page.waitForSelector("main[aria-busy=false]");
const text = (id) => page.locator(id).textContent();

async function state() {
  const shown = (id) => page.locator(id).isVisible();
  return {
    problem: (await shown("#problem")) ? await text("#problem") : null,
    model: await text("#model"),
    file: await text("#file"),
    answered: await shown("#answer"),
    label: await text("#label"),
    probability: await text("#probability"),
    logits: await text("#logits"),
  };
}

function drop(files, camera) {
  return page.evaluate(
    ([files, camera]) => {
      for (const { name, bytes } of files) {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
      }
      if (camera) document.querySelector("#camera").click();
    },
    [files, camera],
  );
}

const steps = {
  async go({ url }) {
    await page.goto(url);
    await idle();
    return state();
  },
  // Waits until the page would work without its server.
  async kept() {
    return page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      while (!(await caches.match("model.kiln"))) await new Promise((done) => setTimeout(done, 50));
      return true;
    });
  },
  async offline() {
    await context.setOffline(true);
  },
  async reload() {
    await page.reload();
    await idle();
    return state();
  },
  async model({ path }) {
    await page.setInputFiles("#choose-model", path);
    await idle();
    return state();
  },
  async picture({ path }) {
    await page.setInputFiles("#choose-picture", path);
    await idle();
    return state();
  },
  // As if they were dropped, one right after the other.
  async drop({ files }) {
    await drop(files, false);
    await idle();
    return state();
  },
  // The camera's button right behind them: how many frames it sees in a second once all are there.
  async overtake({ files }) {
    await drop(files, true);
    await idle();
    const count = () => page.evaluate(() => Number(document.querySelector("#answer").dataset.count ?? 0));
    const before = await count();
    await page.waitForTimeout(1000);
    const frames = (await count()) - before;
    const seen = await state();
    await page.click("#camera");
    return { frames, ...seen };
  },
  // Whether the browser would tell the page of the same file, chosen again.
  async rechoosable() {
    return page.evaluate(() => document.querySelector("#choose-model").value === "");
  },
  // Frames that are classified, at least.
  async camera({ frames }) {
    await page.click("#camera");
    await page.waitForFunction(
      (frames) => Number(document.querySelector("#answer").dataset.count ?? 0) >= frames,
      frames,
    );
    const seen = await state();
    await page.click("#camera");
    return seen;
  },
  // The camera's button, so many times at once; then what its tracks and the page's frames do.
  async clicks({ times }) {
    return page.evaluate(async (times) => {
      const given = [];
      const devices = navigator.mediaDevices;
      const ask = devices.getUserMedia.bind(devices);
      devices.getUserMedia = async (wanted) => {
        const stream = await ask(wanted);
        given.push(stream);
        return stream;
      };
      const button = document.querySelector("#camera");
      for (let time = 0; time < times; time += 1) button.click();
      const count = () => Number(document.querySelector("#answer").dataset.count ?? 0);
      const wait = () => new Promise((done) => setTimeout(done, 1000));
      await wait();
      const before = count();
      await wait();
      delete devices.getUserMedia;
      const live = given.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState === "live");
      return { live: live.length, frames: count() - before, pressed: button.ariaPressed };
    }, times);
  },
  // What the heat map's canvas holds: the mean of its opacity, left and right.
  async heat({ rank }) {
    if (rank !== undefined) await page.locator("#bars button").nth(rank).click();
    await page.waitForTimeout(100);
    await page.waitForSelector("#stage:not([aria-busy=true])");
    return page.evaluate(() => {
      const canvas = document.querySelector("#heat");
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const sums = [0, 0];
      for (let at = 0; at < width * height; at += 1) {
        sums[at % width < width / 2 ? 0 : 1] += data[at * 4 + 3];
      }
      return sums.map((sum) => sum / (255 * width * height));
    });
  },
  // What the worker says for a class by covering places, asked part by part as the page asks it.
  async occlusion({ model, picture, index }) {
    return page.evaluate(
      async ([model, picture, index]) => {
        const worker = new Worker("worker.js", { type: "module" });
        const ask = (message, transfer = []) =>
          new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) =>
              data.error ? reject(new Error(data.error)) : resolve(data.answer);
            worker.postMessage({ id: 1, ...message }, transfer);
          });
        const file = new Uint8Array(model).buffer;
        await ask({ what: "model", file }, [file]);
        const blob = new Blob([new Uint8Array(picture)]);
        const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
        const { map } = await ask({ what: "picture", bitmap }, [bitmap]);
        let part = await ask({ what: "occlude", index, begin: true });
        while (part.done < 1) part = await ask({ what: "occlude", index });
        worker.terminate();
        const { rows, columns, values } = part.map;
        return { hasMap: map !== null, rows, columns, values: [...values] };
      },
      [model, picture, index],
    );
  },
  async look({ width, height, scheme, path }) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(300);
    await page.screenshot({ path, fullPage: true });
    return page.evaluate(() => {
      const root = document.documentElement;
      return { wide: root.scrollWidth, fits: root.scrollWidth <= root.clientWidth };
    });
  },
  // Whether the page can reach another server.
  async escape({ url }) {
    return page.evaluate(
      (url) => fetch(url, { mode: "no-cors" }).then(() => "reached", () => "refused"),
      url,
    );
  },
  async seen() {
    return { requests: [...requests], complaints };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  let answer;
  try {
    answer = { answer: (await steps[step.step](step)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer));
}
await browser.close();
