#include "p4q_codecs.h"

#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 16, COEFFICIENT_BLOCK_BYTES = DCTSIZE2 * sizeof(JCOEF) };

struct p4q_jpeg {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    uint32_t maximum_scans;
    p4q_image_status status;  // why libjpeg was left
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
};

// ---- libjpeg's callbacks

static p4q_image_status status_of(int code) {
    switch (code) {
    case JERR_OUT_OF_MEMORY:
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
    case JERR_NO_BACKING_STORE: return P4Q_IMAGE_TOO_LARGE;
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_COMPONENT_COUNT: return P4Q_IMAGE_UNSUPPORTED;
    default: return P4Q_IMAGE_CORRUPT;
    }
}

static void on_error(j_common_ptr jpeg) {
    p4q_jpeg *r = jpeg->client_data;
    r->status = status_of(jpeg->err->msg_code);
    jpeg->err->format_message(jpeg, r->message);
    longjmp(r->escape, 1);
}

// Damage that libjpeg can decode past is let through, as Pillow does.
static void on_message(j_common_ptr jpeg, int level) {
    (void)level;
    (void)jpeg;
}

static void leave(p4q_jpeg *r, p4q_image_status status, const char *message) {
    r->status = status;
    snprintf(r->message, sizeof r->message, "%s", message);
    longjmp(r->escape, 1);
}

static void on_progress(j_common_ptr jpeg) {
    p4q_jpeg *r = jpeg->client_data;
    if ((uint32_t)r->jpeg.input_scan_number > r->maximum_scans) leave(r, P4Q_IMAGE_TOO_LARGE, "more scans than allowed");
}

static void on_source(j_decompress_ptr jpeg) { (void)jpeg; }

// There is never more than the whole file: libjpeg stops ("suspends") where it ends, and the reader sees rows missing.
static boolean on_empty(j_decompress_ptr jpeg) {
    (void)jpeg;
    return FALSE;
}

static void on_skip(j_decompress_ptr jpeg, long count) {
    struct jpeg_source_mgr *s = jpeg->src;
    if (count <= 0) return;
    size_t n = (size_t)count < s->bytes_in_buffer ? (size_t)count : s->bytes_in_buffer;
    s->next_input_byte += n;
    s->bytes_in_buffer -= n;
}

// ---- header

static size_t coefficient_bytes(struct jpeg_decompress_struct *jpeg) {
    if (!jpeg_has_multiple_scans(jpeg)) return 0;
    size_t blocks = 0;
    for (int i = 0; i < jpeg->num_components; i++) {
        const jpeg_component_info *c = &jpeg->comp_info[i];
        blocks += ((size_t)c->width_in_blocks + c->h_samp_factor) * ((size_t)c->height_in_blocks + c->v_samp_factor);
    }
    return blocks * COEFFICIENT_BLOCK_BYTES;
}

static void read_header(p4q_jpeg *r, p4q_image_header *header) {
    int found;
    do {
        found = jpeg_read_header(&r->jpeg, FALSE);
    } while (found == JPEG_HEADER_TABLES_ONLY);
    if (found != JPEG_HEADER_OK) leave(r, P4Q_IMAGE_TRUNCATED, "the file ends before the picture starts");
    // Checked here because Pillow does; libjpeg would decode two components to two components.
    int n = r->jpeg.num_components;
    if (n != 1 && n != 3 && n != 4) leave(r, P4Q_IMAGE_UNSUPPORTED, "pictures of 1, 3 and 4 components are decoded, this has others");
    r->jpeg.out_color_space = n == 4 ? JCS_CMYK : JCS_RGB;
    header->width = r->jpeg.image_width;
    header->height = r->jpeg.image_height;
    header->bits_per_pixel = (uint32_t)n * 8;
    header->working_bytes = coefficient_bytes(&r->jpeg);
    header->coded_bytes = r->source.bytes_in_buffer;
}

p4q_image_status p4q_jpeg_open(const uint8_t *bytes, size_t count, p4q_jpeg **reader, p4q_image_header *header) {
    *header = (p4q_image_header){0};
    p4q_jpeg *r = *reader = calloc(1, sizeof *r);
    if (!r) return P4Q_IMAGE_TOO_LARGE;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    if (setjmp(r->escape)) return r->status;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r;
    r->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes,
        .bytes_in_buffer = count,
        .init_source = on_source,
        .fill_input_buffer = on_empty,
        .skip_input_data = on_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = on_source,
    };
    r->jpeg.src = &r->source;
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    r->maximum_scans = UINT32_MAX;
    read_header(r, header);
    return P4Q_IMAGE_OK;
}

// ---- rows

// a * b / 255, rounded, for a and b up to 255.
static inline uint32_t multiply_255(uint32_t a, uint32_t b) {
    uint32_t t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

// `cmyk` holds inverted values, 255 is no ink: a channel is what its own ink and black leave of white.
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, cmyk += 4, rgb += 3) {
        uint32_t black = cmyk[3];
        for (int c = 0; c < 3; c++) {
            int32_t v = (int32_t)black - (int32_t)multiply_255(255u - cmyk[c], black);
            rgb[c] = (uint8_t)(v < 0 ? 0 : v);
        }
    }
}

static void read_cmyk(p4q_jpeg *r, uint8_t *rgb, size_t stride) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    JSAMPARRAY row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out = rgb + (size_t)jpeg->output_scanline * stride;
        if (jpeg_read_scanlines(jpeg, row, 1) == 0) leave(r, P4Q_IMAGE_TRUNCATED, "the file ends inside the picture");
        cmyk_to_rgb(row[0], out, jpeg->output_width);
    }
}

static void read_rgb(p4q_jpeg *r, uint8_t *rgb, size_t stride) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    JSAMPROW rows[ROWS_AT_ONCE];
    while (jpeg->output_scanline < jpeg->output_height) {
        uint32_t first = jpeg->output_scanline, left = jpeg->output_height - first;
        uint32_t n = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        for (uint32_t i = 0; i < n; i++) rows[i] = rgb + (size_t)(first + i) * stride;
        if (jpeg_read_scanlines(jpeg, rows, n) == 0) leave(r, P4Q_IMAGE_TRUNCATED, "the file ends inside the picture");
    }
}

p4q_image_status p4q_jpeg_read(p4q_jpeg *r, uint32_t maximum_scans, uint8_t *rgb, size_t stride) {
    if (setjmp(r->escape)) return r->status;
    r->maximum_scans = maximum_scans;
    if (!jpeg_start_decompress(&r->jpeg)) leave(r, P4Q_IMAGE_TRUNCATED, "the file ends inside the picture");
    if (r->jpeg.out_color_space == JCS_CMYK)
        read_cmyk(r, rgb, stride);
    else
        read_rgb(r, rgb, stride);
    return P4Q_IMAGE_OK;
}

const char *p4q_jpeg_message(const p4q_jpeg *r) { return r ? r->message : "memory is short"; }

void p4q_jpeg_close(p4q_jpeg *r) {
    if (!r) return;
    if (r->jpeg.mem && !setjmp(r->escape)) jpeg_destroy_decompress(&r->jpeg);
    free(r);
}
