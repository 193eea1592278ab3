// Keeps the page for when there is no server: what comes from the server is newer and goes first.

const KEPT = "kiln";
const SCRIPTS = ["page.js", "view.js", "engine.js", "worker.js", "kiln.js"];
const PAGE = ["./", "style.css", "icon.svg", ...SCRIPTS, "kiln.wasm"];
const MODEL = "model.kiln"; // Which there need not be.
const OWN = new Set([...PAGE, "index.html", MODEL].map(address));

// Without what may be asked in it.
function address(path) {
  const { origin, pathname } = new URL(path, location);
  return origin + pathname;
}

addEventListener("install", (event) => {
  event.waitUntil(keep());
  skipWaiting();
});

async function keep() {
  const kept = await caches.open(KEPT);
  await kept.addAll(PAGE);
  await kept.add(MODEL).catch(() => {});
}

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { request } = event;
  // Others may have their pages beside this one.
  if (request.method === "GET" && OWN.has(address(request.url))) event.respondWith(fresh(event));
});

async function fresh(event) {
  const { request } = event;
  const kept = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    // The page does not wait for that.
    if (response.ok) event.waitUntil(kept.put(address(request.url), response.clone()));
    return response;
  } catch (error) {
    const found = await kept.match(request.mode === "navigate" ? "./" : address(request.url));
    if (found) return found;
    throw error;
  }
}
