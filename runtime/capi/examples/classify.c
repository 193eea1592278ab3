/* What is on a picture: classify MODEL.kiln PICTURE.ppm
 *
 * The picture is a binary PPM (P6) of 8 bits: `convert photo.jpg photo.ppm` makes one.
 * Prints the two most probable classes, then all logits. Exit codes: 0 done, 2 an error.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "kiln.h"

static void fail(const char *what, const char *why) {
    fprintf(stderr, "classify: %s: %s\n", what, why);
    exit(2);
}

static void must(KilnStatus status, const char *what) {
    if (status != KILN_STATUS_OK) {
        fail(what, kiln_status_text(status));
    }
}

/* Memory as fast kernels want it; a size that is a multiple of the alignment, as C11 wants it. */
static void *memory(size_t len) {
    void *start = aligned_alloc(KILN_ALIGN, (len / KILN_ALIGN + 1) * KILN_ALIGN);
    if (start == NULL) {
        fail("memory", "there is not enough");
    }
    return start;
}

static uint8_t *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path, "cannot be opened");
    }
    long end = ftell(file);
    if (end < 0 || fseek(file, 0, SEEK_SET) != 0) {
        fail(path, "cannot be read");
    }
    *len = (size_t)end;
    uint8_t *bytes = memory(*len);
    if (fread(bytes, 1, *len, file) != *len) {
        fail(path, "cannot be read");
    }
    fclose(file);
    return bytes;
}

static uint8_t *read_ppm(const char *path, uint32_t *width, uint32_t *height, size_t *len) {
    unsigned columns, rows, most;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail(path, "cannot be opened");
    }
    if (fscanf(file, "P6 %5u %5u %5u", &columns, &rows, &most) != 3 || most != 255 ||
        !isspace(fgetc(file))) {
        fail(path, "is no PPM of 8 bits (P6)");
    }
    *width = columns;
    *height = rows;
    *len = (size_t)columns * rows * 3;
    uint8_t *rgb = memory(*len);
    if (fread(rgb, 1, *len, file) != *len) {
        fail(path, "ends too early");
    }
    fclose(file);
    return rgb;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fail("usage", "classify MODEL.kiln PICTURE.ppm");
    }

    /* The model: checked once, with words for what is wrong. */
    size_t model_len;
    uint8_t *bytes = read_file(argv[1], &model_len);
    char why[160];
    if (kiln_check(bytes, model_len, why, sizeof why) != KILN_STATUS_OK) {
        fail(argv[1], why);
    }
    KilnModel model;
    KilnInfo info;
    must(kiln_model_init(&model, bytes, model_len), argv[1]);
    must(kiln_info(&model, &info), argv[1]);

    /* The picture, and the memory that both need. */
    uint32_t width, height;
    size_t rgb_len;
    uint8_t *rgb = read_ppm(argv[2], &width, &height, &rgb_len);
    uint8_t *arena = memory(info.arena_len);
    size_t scratch_len = kiln_scratch_len(&model, width, height);
    int32_t *scratch = memory(scratch_len * sizeof *scratch);

    /* The picture becomes the input; the model runs. */
    KilnOutput output;
    must(kiln_input_rgb(&model, arena, info.arena_len, rgb, rgb_len, width, height, scratch,
                        scratch_len),
         argv[2]);
    must(kiln_run(&model, arena, info.arena_len, &output), argv[1]);

    KilnClass top[2];
    must(kiln_top(&output, top, 2), "top");
    for (size_t i = 0; i < 2 && i < output.len; i++) {
        KilnText label;
        if (kiln_label(&model, top[i].index, &label) == KILN_STATUS_OK) {
            printf("%.*s", (int)label.len, label.bytes);
        } else {
            printf("%lu", (unsigned long)top[i].index);
        }
        printf(" %.1f%%\n", 100.0 * (double)top[i].probability);
    }

    float *logits = memory(output.len * sizeof *logits);
    must(kiln_logits(&output, logits, output.len), "logits");
    for (size_t i = 0; i < output.len; i++) {
        printf("logit %d %.9g\n", output.values[i], (double)logits[i]);
    }
    free(logits);
    free(scratch);
    free(arena);
    free(rgb);
    free(bytes);
    return 0;
}
