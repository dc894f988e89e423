// PNG and JPEG bytes to 8-bit RGB rows, through libpng and libjpeg.
//
// Both libraries report errors by longjmp. Every jump starts and ends inside these functions, which return a status and never
// end the process. A file is opened (its header is read, nothing that depends on its claims is allocated), the caller checks
// the header against its limits, and only then reads. The bytes are borrowed from open to close.
#ifndef P4Q_CODECS_H
#define P4Q_CODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    P4Q_IMAGE_OK = 0,
    P4Q_IMAGE_TRUNCATED = 1,    // the data ends before the last row
    P4Q_IMAGE_UNSUPPORTED = 2,  // a legal file of a kind that is not decoded
    P4Q_IMAGE_TOO_LARGE = 3,    // more work or memory than allowed
    P4Q_IMAGE_CORRUPT = 4,      // the data contradicts itself
} p4q_image_status;

typedef struct {
    uint32_t width, height;  // as stored, before any orientation
    uint32_t bits_per_pixel;  // as stored
    size_t working_bytes;    // what decoding holds besides the RGB rows, where that grows with the picture
    size_t coded_bytes;      // how much of the file can be picture data
} p4q_image_header;

// PNG. Only the chunks that make pixels (IHDR, PLTE, IDAT) ever reach libpng, so no other chunk can cost time or memory.
typedef struct p4q_png p4q_png;

// Makes a reader (NULL only when memory is short) and reads the header. On any status, the reader must be closed.
p4q_image_status p4q_png_open(const uint8_t *bytes, size_t count, p4q_png **reader, p4q_image_header *header);
// Decodes to 8-bit RGB: alpha dropped, 16-bit samples by their high byte, gamma and colour profiles ignored.
// `rgb` holds header.height rows of header.width * 3 bytes, `stride` apart.
p4q_image_status p4q_png_read(p4q_png *reader, uint8_t *rgb, size_t stride);
const char *p4q_png_message(const p4q_png *reader);
void p4q_png_close(p4q_png *reader);

// JPEG.
typedef struct p4q_jpeg p4q_jpeg;

p4q_image_status p4q_jpeg_open(const uint8_t *bytes, size_t count, p4q_jpeg **reader, p4q_image_header *header);
// Decodes to 8-bit RGB; CMYK and YCCK are taken as Adobe writes them, inverted. `rgb` and `stride` as for PNG. A file with more
// than `maximum_scans` scans is too large.
p4q_image_status p4q_jpeg_read(p4q_jpeg *reader, uint32_t maximum_scans, uint8_t *rgb, size_t stride);
const char *p4q_jpeg_message(const p4q_jpeg *reader);
void p4q_jpeg_close(p4q_jpeg *reader);

// Inflates a zlib stream into at most `capacity` bytes. Returns how many were written; 0 for damaged data.
size_t p4q_inflate(const uint8_t *bytes, size_t count, uint8_t *out, size_t capacity);

// A file that has been made, in memory of its own.
typedef struct {
    uint8_t *bytes;
    size_t count, capacity;
} p4q_encoded;

// Encode 8-bit RGB rows of width * 3 bytes, without gaps, to a file that the caller frees, whatever the status. TOO_LARGE when memory is short.
p4q_image_status p4q_png_encode(const uint8_t *rgb, uint32_t width, uint32_t height, p4q_encoded *out);
// Baseline, colours at half resolution, the exact integer transform; `quality` as libjpeg counts it, 1 to 100.
p4q_image_status p4q_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int32_t quality, p4q_encoded *out);
void p4q_encoded_free(p4q_encoded *file);

#endif
