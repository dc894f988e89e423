#include "p4q_codecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>

// ---- PNG

static void take(png_structp png, png_bytep bytes, size_t count) {
    p4q_encoded *out = png_get_io_ptr(png);
    if (out->capacity - out->count < count) {
        size_t capacity = 2 * out->capacity + count + 4096;
        uint8_t *grown = realloc(out->bytes, capacity);
        if (!grown) png_error(png, "memory is short");
        out->bytes = grown;
        out->capacity = capacity;
    }
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
}

static void nothing_to_flush(png_structp png) { (void)png; }

// libpng's own would print.
static void on_png_error(png_structp png, png_const_charp message) {
    (void)message;
    png_longjmp(png, 1);
}
static void on_png_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

// The jump ends here and nothing that this function owns is changed after setjmp.
static bool write_png(png_structp png, png_infop info, const uint8_t *rgb, uint32_t width, uint32_t height, p4q_encoded *out) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_write_fn(png, out, take, nothing_to_flush);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++) png_write_row(png, rgb + (size_t)y * width * 3);
    png_write_end(png, info);
    return true;
}

p4q_image_status p4q_png_encode(const uint8_t *rgb, uint32_t width, uint32_t height, p4q_encoded *out) {
    *out = (p4q_encoded){0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_png_error, on_png_warning);
    if (!png) return P4Q_IMAGE_TOO_LARGE;
    png_infop info = png_create_info_struct(png);
    bool done = info && write_png(png, info, rgb, width, height, out);
    png_destroy_write_struct(&png, &info);
    return done ? P4Q_IMAGE_OK : P4Q_IMAGE_TOO_LARGE;
}

// ---- JPEG

typedef struct {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    unsigned char *bytes;
    unsigned long count;
} jpeg_writer;

static void on_jpeg_error(j_common_ptr jpeg) { longjmp(((jpeg_writer *)jpeg->client_data)->escape, 1); }
static void on_jpeg_message(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}

static bool write_jpeg(jpeg_writer *w, const uint8_t *rgb, uint32_t width, uint32_t height, int quality) {
    if (setjmp(w->escape)) return false;
    jpeg_create_compress(&w->jpeg);
    w->jpeg.client_data = w;
    jpeg_mem_dest(&w->jpeg, &w->bytes, &w->count);
    w->jpeg.image_width = width;
    w->jpeg.image_height = height;
    w->jpeg.input_components = 3;
    w->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->jpeg);
    jpeg_set_quality(&w->jpeg, quality, TRUE);
    w->jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_compress(&w->jpeg, TRUE);
    while (w->jpeg.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)w->jpeg.next_scanline * width * 3);
        jpeg_write_scanlines(&w->jpeg, &row, 1);
    }
    jpeg_finish_compress(&w->jpeg);
    return true;
}

p4q_image_status p4q_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int32_t quality, p4q_encoded *out) {
    *out = (p4q_encoded){0};
    jpeg_writer *w = calloc(1, sizeof *w);
    if (!w) return P4Q_IMAGE_TOO_LARGE;
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = on_jpeg_error;
    w->errors.emit_message = on_jpeg_message;
    w->jpeg.client_data = w;
    bool done = write_jpeg(w, rgb, width, height, quality);
    if (w->jpeg.mem) jpeg_destroy_compress(&w->jpeg);
    *out = (p4q_encoded){.bytes = w->bytes, .count = w->count, .capacity = w->count};
    free(w);
    return done ? P4Q_IMAGE_OK : P4Q_IMAGE_TOO_LARGE;
}

void p4q_encoded_free(p4q_encoded *file) {
    free(file->bytes);
    *file = (p4q_encoded){0};
}
