/* A model in a microcontroller's flash, pictures row by row as a camera gives them: no heap, no file
 * system. `KILN_MODEL` is the model's path, `KILN_ARENA` the arena's bytes (`kiln compile` prints
 * them) and `KILN_SCRATCH` the words for a picture in the making, at compile time. The same program
 * on a computer prints the same.
 */
#include "kiln.h"

/* The model's bytes, where fast kernels want them. */
__asm__(".section .rodata\n"
        ".balign 64\n"
        ".global model_bytes, model_end\n"
        "model_bytes: .incbin \"" KILN_MODEL "\"\n"
        "model_end: .byte 0\n"
        ".section .note.GNU-stack,\"\",%progbits\n"
        ".text\n");
extern const uint8_t model_bytes[], model_end[];

#ifndef KILN_SCRATCH
#define KILN_SCRATCH 1600 /* Enough for models of up to 130 columns. */
#endif
enum { WIDTH = 80, HEIGHT = 60 };

static _Alignas(KILN_ALIGN) uint8_t arena[KILN_ARENA];
static int32_t scratch[KILN_SCRATCH];
static KilnModel model;
static KilnRows rows;

#if __STDC_HOSTED__
#include <stdio.h>
static void put(const char *text, size_t len) { printf("%.*s", (int)len, text); }
#else
/* The board's: its serial line, say. */
void put(const char *text, size_t len);
#endif

static void put_number(int number) {
    char text[12];
    size_t at = sizeof text;
    unsigned rest = number < 0 ? 0u - (unsigned)number : (unsigned)number;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0) {
        text[--at] = '-';
    }
    put(text + at, sizeof text - at);
}

/* Stands for a camera. */
static void camera_row(uint32_t picture, uint32_t y, uint8_t *row) {
    for (uint32_t x = 0; x < WIDTH; x++) {
        for (uint32_t channel = 0; channel < 3; channel++) {
            *row++ = (uint8_t)(x * (5 + channel + picture) + y * (3 + 2 * channel) +
                               x * y / (11 + channel));
        }
    }
}

/* The status is the exit code: 0 if all went well. */
static KilnStatus classify(uint32_t picture) {
    uint8_t row[WIDTH * 3];
    uint32_t whole = 0;
    KilnStatus status = kiln_rows_restart(&rows);
    for (uint32_t y = 0; status == KILN_STATUS_OK && y < HEIGHT; y++) {
        camera_row(picture, y, row);
        status = kiln_rows_push(&rows, &model, arena, sizeof arena, row, sizeof row, &whole);
    }
    KilnOutput output;
    KilnClass top;
    KilnText label;
    if (status != KILN_STATUS_OK ||
        (status = kiln_run(&model, arena, sizeof arena, &output)) != KILN_STATUS_OK ||
        (status = kiln_top(&output, &top, 1)) != KILN_STATUS_OK ||
        (status = kiln_label(&model, top.index, &label)) != KILN_STATUS_OK) {
        return status;
    }
    put(label.bytes, label.len);
    put(" ", 1);
    put_number((int)(top.probability * 1000.0f));
    for (size_t i = 0; i < output.len; i++) {
        put(" ", 1);
        put_number(output.values[i]);
    }
    put("\n", 1);
    return KILN_STATUS_OK;
}

int main(void) {
    KilnStatus status = kiln_model_init(&model, model_bytes, (size_t)(model_end - model_bytes));
    if (status == KILN_STATUS_OK) {
        status = kiln_rows_init(&rows, &model, WIDTH, HEIGHT, scratch, KILN_SCRATCH);
    }
    for (uint32_t picture = 0; status == KILN_STATUS_OK && picture < 4; picture++) {
        status = classify(picture);
    }
    if (status != KILN_STATUS_OK) {
        const char *text = kiln_status_text(status);
        size_t len = 0;
        while (text[len] != '\0') {
            len++;
        }
        put(text, len);
        put("\n", 1);
    }
    return (int)status;
}
