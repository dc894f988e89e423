#include "p4q_codecs.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIGNATURE_BYTES = 8, CHUNK_OVERHEAD = 12, IHDR_BYTES = 13, PLTE_MAXIMUM = 3 * 256, STREAM_PARTS = 5 };

static const uint8_t SIGNATURE[SIGNATURE_BYTES] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
static const uint8_t IEND[CHUNK_OVERHEAD] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};

typedef struct {
    const uint8_t *bytes;
    size_t count;
} span;

struct p4q_png {
    // What libpng is given to read: signature, IHDR, PLTE, the run of IDATs, IEND; everything else stays out.
    span stream[STREAM_PARTS];
    size_t part, offset;  // the reading position: part of `stream`, byte of the part
    bool ran_out;         // libpng asked for more than there is
    uint64_t rows_left;   // rows of all passes that are not decoded yet
    uint32_t width, height, bits_per_pixel;
    bool interlaced;
    png_structp png;
    png_infop info;
    jmp_buf escape;
    char message[160];
};

static uint32_t big_endian(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static p4q_image_status fail(p4q_png *r, p4q_image_status status, const char *message) {
    snprintf(r->message, sizeof r->message, "%s", message);
    return status;
}

// ---- chunks

typedef struct {
    const uint8_t *start;  // of the length field
    uint32_t length;       // of the data
    bool complete;         // data and checksum lie inside the file
} chunk;

static bool is_type(const chunk *c, const char *type) { return memcmp(c->start + 4, type, 4) == 0; }
static bool is_letter(uint8_t b) { return (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z'); }

// The chunk at `*at`, which moves past it. False when there is no whole chunk header left.
static bool next_chunk(const uint8_t *bytes, size_t count, size_t *at, chunk *c) {
    if (*at > count || count - *at < 8) return false;
    size_t left = count - *at;
    c->start = bytes + *at;
    c->length = big_endian(c->start);
    c->complete = left >= CHUNK_OVERHEAD && c->length <= left - CHUNK_OVERHEAD;
    *at = c->complete ? *at + CHUNK_OVERHEAD + c->length : count;
    return true;
}

static bool has_right_checksum(const chunk *c) {
    uLong sum = crc32(0, c->start + 4, 4);
    return crc32(sum, c->start + 8, c->length) == big_endian(c->start + 8 + c->length);
}

static bool is_legal_depth(uint8_t depth, uint8_t color) {
    switch (color) {
    case 0: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6: return depth == 8 || depth == 16;
    default: return false;
    }
}

static p4q_image_status read_ihdr(p4q_png *r, const chunk *c, uint8_t *color) {
    if (!is_type(c, "IHDR") || c->length != IHDR_BYTES) return fail(r, P4Q_IMAGE_CORRUPT, "the first chunk is not an IHDR of 13 bytes");
    if (!c->complete) return fail(r, P4Q_IMAGE_TRUNCATED, "the file ends inside IHDR");
    if (!has_right_checksum(c)) return fail(r, P4Q_IMAGE_CORRUPT, "IHDR has a wrong checksum");
    const uint8_t *d = c->start + 8;
    r->width = big_endian(d);
    r->height = big_endian(d + 4);
    if (r->width == 0 || r->height == 0 || r->width > INT32_MAX || r->height > INT32_MAX)
        return fail(r, P4Q_IMAGE_CORRUPT, "IHDR gives an impossible size");
    if (!is_legal_depth(d[8], d[9])) return fail(r, P4Q_IMAGE_CORRUPT, "IHDR gives a colour type and bit depth that do not exist");
    if (d[10] != 0 || d[11] != 0 || d[12] > 1)
        return fail(r, P4Q_IMAGE_UNSUPPORTED, "IHDR names an unknown compression, filter or interlace method");
    r->interlaced = d[12] == 1;
    r->bits_per_pixel = (uint32_t)d[8] * (d[9] == 2 ? 3 : d[9] == 4 ? 2 : d[9] == 6 ? 4 : 1);
    *color = d[9];
    return P4Q_IMAGE_OK;
}

// Lines up what libpng may read: IDATs that follow each other; a PLTE before them if the colour type needs it.
static p4q_image_status find_parts(p4q_png *r, const uint8_t *bytes, size_t count, p4q_image_header *header) {
    size_t at = SIGNATURE_BYTES;
    chunk c;
    uint8_t color = 0;
    bool ended = false;  // something follows the run of IDATs
    if (!next_chunk(bytes, count, &at, &c)) return fail(r, P4Q_IMAGE_TRUNCATED, "the file ends before IHDR");
    p4q_image_status status = read_ihdr(r, &c, &color);
    if (status != P4Q_IMAGE_OK) return status;
    span ihdr = {c.start, CHUNK_OVERHEAD + IHDR_BYTES}, plte = {NULL, 0}, idat = {NULL, 0};
    while (next_chunk(bytes, count, &at, &c)) {
        if (is_type(&c, "IDAT")) {
            if (!idat.bytes) idat.bytes = c.start;
            idat.count = (size_t)(bytes + at - idat.bytes);
            header->coded_bytes += c.complete ? c.length : (size_t)(bytes + count - c.start - 8);
            continue;
        }
        if (idat.bytes) {
            ended = true;
            break;
        }
        for (int i = 4; i < 8; i++)
            if (!is_letter(c.start[i])) return fail(r, P4Q_IMAGE_CORRUPT, "a chunk type is not four letters");
        if (is_type(&c, "IEND")) return fail(r, P4Q_IMAGE_CORRUPT, "there is no IDAT");
        if (!c.complete) return fail(r, P4Q_IMAGE_TRUNCATED, "the file ends before IDAT");
        if (color == 3 && is_type(&c, "PLTE")) {
            if (c.length == 0 || c.length > PLTE_MAXIMUM || c.length % 3 != 0 || plte.bytes || !has_right_checksum(&c))
                return fail(r, P4Q_IMAGE_CORRUPT, "PLTE is damaged");
            plte = (span){c.start, CHUNK_OVERHEAD + c.length};
        }
    }
    if (!idat.bytes) return fail(r, P4Q_IMAGE_TRUNCATED, "the file ends before IDAT");
    if (color == 3 && !plte.bytes) return fail(r, P4Q_IMAGE_CORRUPT, "a palette image has no PLTE");
    // Without a chunk after them, the file is cut: libpng must run out of data there instead of finding an end.
    span parts[STREAM_PARTS] = {{SIGNATURE, SIGNATURE_BYTES}, ihdr, plte, idat, {IEND, ended ? sizeof IEND : 0}};
    memcpy(r->stream, parts, sizeof parts);
    return P4Q_IMAGE_OK;
}

static bool idats_have_right_checksums(const p4q_png *r) {
    span idat = r->stream[3];
    size_t at = 0;
    chunk c;
    while (next_chunk(idat.bytes, idat.count, &at, &c))
        if (c.complete && !has_right_checksum(&c)) return false;
    return true;
}

// ---- libpng

static void on_error(png_structp png, png_const_charp message) {
    p4q_png *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    longjmp(r->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t count) {
    p4q_png *r = png_get_io_ptr(png);
    // After the last row libpng looks for the end of the data, however much there is: it is not asked for.
    if (r->rows_left == 0) png_error(png, "all rows are decoded");
    while (count > 0) {
        if (r->part == STREAM_PARTS) {
            r->ran_out = true;
            png_error(png, "the file ends inside the picture");
        }
        const span *s = &r->stream[r->part];
        size_t n = s->count - r->offset < count ? s->count - r->offset : count;
        if (n > 0) memcpy(out, s->bytes + r->offset, n);
        out += n;
        count -= n;
        r->offset += n;
        if (r->offset == s->count) {
            r->part++;
            r->offset = 0;
        }
    }
}

// Called for each decoded row of each pass; changes nothing.
static void on_row(png_structp png, png_row_infop info, png_bytep data) {
    (void)info;
    (void)data;
    p4q_png *r = png_get_user_transform_ptr(png);
    if (r->rows_left > 0) r->rows_left--;
}

static uint64_t count_rows(const p4q_png *r) {
    if (!r->interlaced) return r->height;
    static const uint32_t first_x[7] = {0, 4, 0, 2, 0, 1, 0};
    static const uint32_t first_y[7] = {0, 0, 4, 0, 2, 0, 1}, step_y[7] = {8, 8, 8, 4, 4, 2, 2};
    uint64_t rows = 0;
    for (int p = 0; p < 7; p++)
        if (r->width > first_x[p] && r->height > first_y[p]) rows += (r->height - first_y[p] + step_y[p] - 1) / step_y[p];
    return rows;
}

static void decode(p4q_png *r, uint8_t *rgb, size_t stride) {
    png_set_user_limits(r->png, INT32_MAX, INT32_MAX);  // the caller has checked the size
    png_set_benign_errors(r->png, 0);
    png_set_crc_action(r->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);  // checked already
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    png_set_expand(r->png);  // palette to RGB, gray to 8 bits
    png_set_strip_16(r->png);
    png_set_strip_alpha(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_read_user_transform_fn(r->png, on_row);
    png_set_user_transform_info(r->png, r, 0, 0);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) != (size_t)r->width * 3) png_error(r->png, "the rows are not RGB");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < r->height; y++) png_read_row(r->png, rgb + (size_t)y * stride, NULL);
}

p4q_image_status p4q_png_open(const uint8_t *bytes, size_t count, p4q_png **reader, p4q_image_header *header) {
    *header = (p4q_image_header){0};
    p4q_png *r = *reader = calloc(1, sizeof *r);
    if (!r) return P4Q_IMAGE_TOO_LARGE;
    if (count < SIGNATURE_BYTES || memcmp(bytes, SIGNATURE, SIGNATURE_BYTES) != 0)
        return fail(r, P4Q_IMAGE_UNSUPPORTED, "there is no PNG signature");
    p4q_image_status status = find_parts(r, bytes, count, header);
    header->width = r->width;
    header->height = r->height;
    header->bits_per_pixel = r->bits_per_pixel;
    return status;
}

p4q_image_status p4q_png_read(p4q_png *r, uint8_t *rgb, size_t stride) {
    if (!idats_have_right_checksums(r)) return fail(r, P4Q_IMAGE_CORRUPT, "IDAT has a wrong checksum");
    r->rows_left = count_rows(r);
    if (!setjmp(r->escape)) {
        r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
        r->info = r->png ? png_create_info_struct(r->png) : NULL;
        if (!r->info) return fail(r, P4Q_IMAGE_TOO_LARGE, "memory is short");
        decode(r, rgb, stride);
    }
    if (r->rows_left == 0) return P4Q_IMAGE_OK;
    return r->ran_out ? P4Q_IMAGE_TRUNCATED : P4Q_IMAGE_CORRUPT;
}

const char *p4q_png_message(const p4q_png *r) { return r ? r->message : "memory is short"; }

void p4q_png_close(p4q_png *r) {
    if (!r) return;
    if (r->png) png_destroy_read_struct(&r->png, &r->info, NULL);
    free(r);
}

// ---- zlib

size_t p4q_inflate(const uint8_t *bytes, size_t count, uint8_t *out, size_t capacity) {
    if (count > UINT32_MAX || capacity > UINT32_MAX) return 0;
    z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)count, .next_out = out, .avail_out = (uInt)capacity};
    if (inflateInit(&stream) != Z_OK) return 0;
    int result = inflate(&stream, Z_FINISH);
    size_t written = stream.total_out;
    inflateEnd(&stream);
    return result == Z_STREAM_END ? written : 0;
}
