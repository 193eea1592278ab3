// Keeps the page for when there is no server: what comes from the server is newer and goes first.

const KEPT = "kiln";
const FILES = ["./", "style.css", "page.js", "kiln.js", "worker.js", "kiln.wasm", "icon.svg"];

addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(FILES)));
  skipWaiting();
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(fresh(event));
});

async function fresh(event) {
  const { request } = event;
  const kept = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    // The page does not wait for that.
    if (response.ok) event.waitUntil(kept.put(request, response.clone()));
    return response;
  } catch (error) {
    const found = await kept.match(request);
    if (found) return found;
    throw error;
  }
}
