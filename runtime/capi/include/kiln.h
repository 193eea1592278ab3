/* Kiln's engine for C. Made by cbindgen from runtime/capi/src; do not edit.
 *
 * A model is checked once (kiln_model_init); after that no bytes of a model, input or picture make
 * the engine crash, overrun or stall. Nothing is allocated and nothing is global: the caller gives the
 * model's bytes, the arena and the scratch, and keeps them while they are in use. Functions with
 * different arenas may run at the same time.
 *
 * Every pointer is checked: one that is null, misaligned for its type, or of memory that overlaps
 * what it must not overlap is an error, and nothing has then been done. What cannot be checked (that memory is as
 * long as said, and nobody else writes it) is under each function's heading "Safety".
 */

#ifndef KILN_H
#define KILN_H

#include <stddef.h>
#include <stdint.h>

/*
 The alignment, in bytes, at which fast kernels want a model's bytes and the arena. Any other gives
 the same bits; but on a Cortex-M an arena that does not begin at a multiple of 4 is refused.
 */
#define KILN_ALIGN 64

/*
 What a function returns. All but `KILN_STATUS_OK` are errors, and nothing has then been done.
 */
typedef enum KilnStatus {
  /*
   Done.
   */
  KILN_STATUS_OK = 0,
  /*
   A pointer is null or misaligned for its type, or a length is impossible.
   */
  KILN_STATUS_POINTER = 1,
  /*
   The arena overlaps the model's bytes, or a buffer overlaps the arena.
   */
  KILN_STATUS_OVERLAP = 2,
  /*
   The bytes are no model; `kiln_check` says where and why.
   */
  KILN_STATUS_FORMAT = 3,
  /*
   The model's bytes have changed since they were compiled; only `kiln_check` looks.
   */
  KILN_STATUS_CHECKSUM = 4,
  /*
   The `KilnModel` or `KilnRows` was not initialised.
   */
  KILN_STATUS_UNINITIALISED = 5,
  /*
   The arena is smaller than `KilnInfo.arena_len`.
   */
  KILN_STATUS_ARENA = 6,
  /*
   The input has another length than `KilnInfo.input_len`.
   */
  KILN_STATUS_INPUT = 7,
  /*
   The model has no recipe: it takes no pixels or pictures.
   */
  KILN_STATUS_RECIPE = 8,
  /*
   A side of the picture is not in 1 to 65535, or its bytes are not width * height * 3.
   */
  KILN_STATUS_PICTURE = 9,
  /*
   The scratch is smaller than `kiln_scratch_len` says.
   */
  KILN_STATUS_SCRATCH = 10,
  /*
   A buffer for results is too small.
   */
  KILN_STATUS_BUFFER = 11,
  /*
   There is no label of that number.
   */
  KILN_STATUS_LABEL = 12,
  /*
   A row came after the picture's last.
   */
  KILN_STATUS_ORDER = 13,
  /*
   The model's bytes have changed since they were checked.
   */
  KILN_STATUS_CHANGED = 14,
} KilnStatus;

/*
 A checked model. Where it lies is the caller's choice, what is in it the library's; a copy is the
 same model. It points to the model's bytes.
 */
typedef struct KilnModel {
  uint64_t opaque[32];
} KilnModel;

/*
 What a model takes and gives. `real = scale * (quantized - zero_point)`.
 */
typedef struct KilnInfo {
  /*
   Bytes of arena that an inference takes.
   */
  size_t arena_len;
  /*
   Bytes of the model; what lies behind them is not looked at.
   */
  size_t model_len;
  /*
   The input's rows.
   */
  uint32_t input_height;
  /*
   The input's columns.
   */
  uint32_t input_width;
  /*
   The input's channels.
   */
  uint32_t input_channels;
  /*
   The input's integer that stands for 0.
   */
  int32_t input_zero_point;
  /*
   The input's values: int8, rows * columns * channels in this order.
   */
  size_t input_len;
  /*
   The input's scale.
   */
  float input_scale;
  /*
   The logits' scale.
   */
  float output_scale;
  /*
   The logits' integer that stands for 0.
   */
  int32_t output_zero_point;
  /*
   How many logits there are, one a class.
   */
  size_t output_len;
  /*
   How many labels there are: one a class, or none.
   */
  size_t label_count;
  /*
   1 if the model carries a recipe, so that it takes pixels and pictures; else 0.
   */
  uint32_t has_recipe;
  /*
   The checksum that the file states; it tells models apart.
   */
  uint32_t checksum;
} KilnInfo;

/*
 Text in UTF-8, in the model's bytes; no 0 behind it: print it with `%.*s`.
 */
typedef struct KilnText {
  /*
   The first byte.
   */
  const char *bytes;
  /*
   How many bytes there are.
   */
  size_t len;
} KilnText;

/*
 The quantized logits: `logit = scale * (value - zero_point)`.
 */
typedef struct KilnOutput {
  /*
   int8, one a class, in the arena: they are there until the arena is used again.
   */
  const int8_t *values;
  /*
   How many there are.
   */
  size_t len;
  /*
   The integer that stands for 0.
   */
  int32_t zero_point;
  /*
   A step's size.
   */
  float scale;
  /*
   Below 0 the picture is like none of those that the model was made for, and the classes are a guess;
   NaN if the model does not say.
   */
  float known;
} KilnOutput;

/*
 A class and how probable it is.
 */
typedef struct KilnClass {
  /*
   Its number, for `kiln_label`.
   */
  size_t index;
  /*
   By softmax: the probabilities of all classes sum to 1.
   */
  float probability;
} KilnClass;

/*
 A picture in the making. Where it lies is the caller's choice, what is in it the library's. It points
 to its scratch; unlike a `KilnModel` it is not to be copied.
 */
typedef struct KilnRows {
  uint64_t opaque[32];
} KilnRows;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Copies quantized values to the input: int8, rows * columns * channels in this order,
 `KilnInfo.input_len` of them, where `real = input_scale * (quantized - input_zero_point)`.

 `KILN_STATUS_INPUT` for another length, `KILN_STATUS_ARENA` for too small an arena.

 # Safety

 `model` is null, zeroed or initialised; `arena` is null or `arena_len` bytes that nobody else uses
 now; `values` is null or `len` readable values.
 */
enum KilnStatus kiln_input_set(const struct KilnModel *model,
                               uint8_t *arena,
                               size_t arena_len,
                               const int8_t *values,
                               size_t len);

/*
 Copies pixels that have the recipe's size and colour already to the input and quantizes them by the
 model's table: bytes of 0 to 255, rows * columns * channels in this order (RGB or grey),
 `KilnInfo.input_len` of them.

 `KILN_STATUS_RECIPE` if the model takes none, else as `kiln_input_set`.

 # Safety

 As for `kiln_input_set`.
 */
enum KilnStatus kiln_input_pixels(const struct KilnModel *model,
                                  uint8_t *arena,
                                  size_t arena_len,
                                  const uint8_t *pixels,
                                  size_t len);

/*
 Words (int32_t) of scratch to preprocess a picture of `width * height` pixels: ask for each size. 0 if
 the model has no recipe or the picture is refused.

 # Safety

 `model` is null, zeroed or initialised.
 */
size_t kiln_scratch_len(const struct KilnModel *model,
                        uint32_t width,
                        uint32_t height);

/*
 Brings a picture to the input as the recipe says: fit, resize, colour, quantized; in integers, the
 same bytes on every machine. `rgb` is 8-bit RGB, interleaved, rows from the top: `rgb_len` =
 width * height * 3 bytes. `scratch` has `kiln_scratch_len` words, whatever is in them, and is free
 again afterwards.

 `KILN_STATUS_PICTURE`, `KILN_STATUS_SCRATCH`, `KILN_STATUS_RECIPE`, `KILN_STATUS_ARENA`.

 # Safety

 `model` is null, zeroed or initialised; `arena` and `scratch` are null or memory of that length that
 nobody else uses now; `rgb` is null or `rgb_len` readable bytes.
 */
enum KilnStatus kiln_input_rgb(const struct KilnModel *model,
                               uint8_t *arena,
                               size_t arena_len,
                               const uint8_t *rgb,
                               size_t rgb_len,
                               uint32_t width,
                               uint32_t height,
                               int32_t *scratch,
                               size_t scratch_len);

/*
 Checks the bytes of a `.kiln` file once and all: lengths, offsets, shapes, constants, the arena's
 bounds, the amount of work. `model` is the caller's and need not be initialised; the bytes stay where
 they are, unchanged, as long as it is used. Fast kernels want them at a multiple of `KILN_ALIGN`.

 `KILN_STATUS_FORMAT` if they are no model.

 # Safety

 `model` is null or writable; `bytes` is null or `len` readable bytes.
 */
enum KilnStatus kiln_model_init(struct KilnModel *model,
                                const uint8_t *bytes,
                                size_t len);

/*
 Says in words what is wrong with the bytes of a `.kiln` file, and looks at their checksum too: a text
 of at most `text_len - 1` bytes and a 0, empty if all is well. `text` may be null if `text_len` is 0.

 `KILN_STATUS_FORMAT` or `KILN_STATUS_CHECKSUM` if they are no model.

 # Safety

 `bytes` is null or `len` readable bytes; `text` is null or `text_len` writable bytes.
 */
enum KilnStatus kiln_check(const uint8_t *bytes,
                           size_t len,
                           char *text,
                           size_t text_len);

/*
 The arena's bytes from a file's first bytes, unchecked: for an allocation before `kiln_model_init`.
 0 where there is no header.

 # Safety

 `bytes` is null or `len` readable bytes.
 */
size_t kiln_arena_len(const uint8_t *bytes, size_t len);

/*
 What a model takes and gives.

 # Safety

 `model` is null, zeroed or initialised; `info` is null or writable.
 */
enum KilnStatus kiln_info(const struct KilnModel *model, struct KilnInfo *info);

/*
 The name of a class. `KILN_STATUS_LABEL` if it has none.

 # Safety

 `model` is null, zeroed or initialised; `label` is null or writable.
 */
enum KilnStatus kiln_label(const struct KilnModel *model, size_t index, struct KilnText *label);

/*
 The model's name.

 # Safety

 `model` is null, zeroed or initialised; `name` is null or writable.
 */
enum KilnStatus kiln_name(const struct KilnModel *model, struct KilnText *name);

/*
 Runs the model over the input in the arena. The arena's other bytes, the input too, are used for the
 layers: bring an input before every run.

 `KILN_STATUS_ARENA` for too small an arena, `KILN_STATUS_POINTER` on a Cortex-M for one that does not
 begin at a multiple of 4.

 # Safety

 `model` is null, zeroed or initialised; `arena` is null or `arena_len` bytes that nobody else uses
 now; `output` is null or writable.
 */
enum KilnStatus kiln_run(const struct KilnModel *model,
                         uint8_t *arena,
                         size_t arena_len,
                         struct KilnOutput *output);

/*
 The logits as floats: `output->len` of them, to a buffer of at least as many.

 `KILN_STATUS_BUFFER` for too small a buffer.

 # Safety

 `output` is null or written by `kiln_run`, its values still there; `floats` is null or `len` writable
 floats.
 */
enum KilnStatus kiln_logits(const struct KilnOutput *output,
                            float *floats,
                            size_t len);

/*
 The `count` most probable classes by softmax, the first of equals first; where there are fewer, the
 rest have probability 0 and the index `output->len`. The same bits on every machine.

 # Safety

 `output` is null or written by `kiln_run`, its values still there; `classes` is null or `count`
 writable places.
 */
enum KilnStatus kiln_top(const struct KilnOutput *output, struct KilnClass *classes, size_t count);

/*
 Prepares for pictures of `width * height` pixels. `scratch` has `kiln_scratch_len` words and is the
 library's as long as `rows` is used. `rows` is the caller's and need not be initialised.

 `KILN_STATUS_PICTURE`, `KILN_STATUS_SCRATCH`, `KILN_STATUS_RECIPE`.

 # Safety

 `rows` is null or writable; `model` is null, zeroed or initialised; `scratch` is null or memory of that
 length that nobody else uses as long as `rows` is used.
 */
enum KilnStatus kiln_rows_init(struct KilnRows *rows,
                               const struct KilnModel *model,
                               uint32_t width,
                               uint32_t height,
                               int32_t *scratch,
                               size_t scratch_len);

/*
 Takes the next row: 8-bit RGB, interleaved, `len` = width * 3 bytes. After the last one the input is
 whole and quantized, and `*whole` is 1, else 0. Nobody else touches the arena in between, and `model`
 is the one of `kiln_rows_init`.

 `KILN_STATUS_PICTURE` for another length, `KILN_STATUS_ORDER` after the last row.

 # Safety

 `rows` is null, zeroed or initialised; `model` likewise; `arena` is null or `arena_len` bytes that
 nobody else uses now; `row` is null or `len` readable bytes; `whole` is null or writable.
 */
enum KilnStatus kiln_rows_push(struct KilnRows *rows,
                               const struct KilnModel *model,
                               uint8_t *arena,
                               size_t arena_len,
                               const uint8_t *row,
                               size_t len,
                               uint32_t *whole);

/*
 Begins the next picture of the same size; what was pushed of this one is dropped.

 # Safety

 `rows` is null, zeroed or initialised, and nobody else uses it now.
 */
enum KilnStatus kiln_rows_restart(struct KilnRows *rows);

/*
 What a status means and what to do, as a string that is never freed. An unknown number has a text
 too.
 */
const char *kiln_status_text(int32_t status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KILN_H */
