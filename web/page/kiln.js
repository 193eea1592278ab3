// Kiln's engine in WebAssembly: a model and pictures in, logits and heat maps out.
//
//   const module = await WebAssembly.compileStreaming(fetch("kiln.wasm"));
//   const engine = new Engine(module, bytesOfAKilnFile);       // throws an Error with the reason
//   engine.prepare(width, height, (first, rows) => rgba);      // rows of the picture, from the top
//   const { top, logits, unknown } = engine.infer();           // unknown: how probably it is none of them
//   const map = engine.map(top[0].index);                      // where the picture speaks for it
//   engine.beginOcclusion(top[0].index);                       // the same where about.hasMaps is false:
//   const { done, map } = engine.occlude(100);                 // 100 ms of it; map once done is 1

const TOP = 8;
const text = new TextDecoder();

/** One model, checked. For another, make another. */
export class Engine {
  #wasm;
  #read = () => new Uint8Array();
  #covered = 0; // Squares of an occlusion that are done.

  /** `module` is kiln.wasm, compiled; `file` the bytes of a .kiln file. */
  constructor(module, file) {
    const place = (at, bytes) => new Uint8Array(this.#wasm.memory.buffer).set(bytes, at);
    const imports = {
      read_file: (at, length) => place(at >>> 0, file.subarray(0, length >>> 0)),
      read_rows: (at, first, rows) => place(at >>> 0, this.#read(first >>> 0, rows >>> 0)),
    };
    this.#wasm = new WebAssembly.Instance(module, { env: imports }).exports;
    this.#must(this.#wasm.load(file.length));
    const wasm = this.#wasm;
    this.about = {
      name: this.#text(() => wasm.name()),
      target: this.#text(() => wasm.target()),
      labels: Array.from({ length: wasm.classes() }, (_, index) => this.label(index)),
      rows: wasm.input_rows(),
      columns: wasm.input_columns(),
      channels: wasm.input_channels(),
      bytes: file.length,
      arena: wasm.arena_bytes(),
      macs: wasm.macs_of_model(),
      takesPictures: wasm.has_recipe() === 1,
      hasMaps: wasm.map_rows() > 0,
    };
  }

  /** A class's name; its number where the model has no names. */
  label(index) {
    return this.#wasm.labels() ? this.#text(() => this.#wasm.label(index)) : `${index}`;
  }

  /** Makes a picture the input. `read(first, rows)` gives RGBA of so many rows from a row on. */
  prepare(width, height, read) {
    this.#read = read;
    this.#must(this.#wasm.prepare(width, height));
  }

  /** Runs the model on the picture that is prepared. `unknown` is null where the model does not say. */
  infer() {
    const wasm = this.#wasm;
    this.#must(wasm.infer());
    const count = wasm.logits_len();
    const top = Array.from({ length: Math.min(TOP, count) }, (_, rank) => {
      const index = wasm.top_class(rank);
      return { index, label: this.label(index), probability: wasm.top_probability(rank) };
    });
    const unknown = wasm.unknown();
    return {
      top,
      logits: new Int8Array(wasm.memory.buffer, wasm.logits_at() >>> 0, count).slice(),
      unknown: Number.isNaN(unknown) ? null : unknown,
    };
  }

  /** What each place of the picture adds to a class's logit: rows, columns, values, and the rectangle of
   *  the picture (x, y, width, height) that was used, and the one that the map covers. */
  map(index) {
    const wasm = this.#wasm;
    this.#must(wasm.map(index));
    const [rows, columns] = [wasm.map_rows(), wasm.map_columns()];
    const at = wasm.map_at(index) >>> 0;
    return this.#over(rows, columns, new Int32Array(wasm.memory.buffer, at, rows * columns));
  }

  /** Begins the occlusion map of a class, for any network: by how much the class gets less probable where a
   *  grey square covers the picture. It takes some fifty inferences. */
  beginOcclusion(index) {
    this.#must(this.#wasm.occlude(index));
    this.#covered = 0;
  }

  /** Goes on with it for so many milliseconds, and for one inference at least. `done` says how far it is, from
   *  0 to 1; at 1 there is the map, as `map()` gives it. */
  occlude(milliseconds) {
    const wasm = this.#wasm;
    const end = performance.now() + milliseconds;
    const squares = wasm.squares();
    do {
      this.#must(wasm.occlude_next());
      this.#covered += 1;
    } while (this.#covered < squares && performance.now() < end);
    const done = Math.min(1, this.#covered / squares);
    if (done < 1) return { done, map: null };
    const { rows, columns } = this.about;
    const at = wasm.occlusion_at() >>> 0;
    if (!at) throw new Error("no memory for a heat map");
    const values = new Float32Array(wasm.memory.buffer, at, rows * columns);
    return { done, map: this.#over(rows, columns, values) };
  }

  // A map with its place over the picture.
  #over(rows, columns, values) {
    const [x, y, width, height, left, top, across, down] = Array.from({ length: 8 }, (_, n) =>
      this.#wasm.placement(n),
    );
    const [sx, sy] = [width / across, height / down];
    const { columns: wide, rows: high } = this.about;
    return {
      rows,
      columns,
      values: values.slice(),
      used: [x, y, width, height],
      covers: [x - left * sx, y - top * sy, wide * sx, high * sy],
    };
  }

  /** The colours of a heat map: 256 times red, green and blue, from the least heat to the most. */
  colours() {
    const at = this.#wasm.colours_at() >>> 0;
    return new Uint8Array(this.#wasm.memory.buffer, at, 768).slice();
  }

  #text(make) {
    make();
    const wasm = this.#wasm;
    return text.decode(new Uint8Array(wasm.memory.buffer, wasm.text_at() >>> 0, wasm.text_len()));
  }

  #must(done) {
    if (!done) throw new Error(this.#text(() => {}));
  }
}
