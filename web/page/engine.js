// The engine in a worker of its own, as the page asks it.

const PATIENCE = 30e3; // Milliseconds that an answer may take.

export class Engine extends EventTarget {
  #worker = new Worker("worker.js", { type: "module" });
  #asked = 0;

  // One question: its answer, or an Error. What takes too long ends the engine.
  async ask(what, message = {}, transfer = []) {
    const id = ++this.#asked;
    const settled = new AbortController();
    const late = setTimeout(() => {
      this.end(new Error(`no answer in ${PATIENCE / 1000} seconds; choose another model`));
    }, PATIENCE);
    try {
      return await new Promise((resolve, reject) => {
        const listen = (to, type, heard) => to.addEventListener(type, heard, { signal: settled.signal });
        listen(this.#worker, "message", ({ data }) => {
          if (data.id !== id) return;
          if (data.error) reject(new Error(data.error));
          else resolve(data.answer);
        });
        listen(this.#worker, "error", () => reject(new Error("the engine did not load; reload the page")));
        listen(this, "end", ({ detail }) => reject(detail));
        this.#worker.postMessage({ id, what, ...message }, transfer);
      });
    } finally {
      clearTimeout(late);
      settled.abort();
    }
  }

  // Whoever still waits for an answer gets an Error that says why there is none.
  end(why) {
    this.#worker.terminate();
    this.dispatchEvent(new CustomEvent("end", { detail: why }));
  }
}
