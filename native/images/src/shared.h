/* What the files of this library share; nothing here is exported. */
#ifndef RETOUCH_IMAGES_SHARED_H
#define RETOUCH_IMAGES_SHARED_H

#include <stdbool.h>
#include <vips/vips.h>

#include "retouch_images.h"

/* Puts a formatted reason into the caller's buffer and returns `status`. */
int32_t refuse(int32_t status, char *reason, int32_t capacity, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* One attempt at something that may leave words in libvips's error buffer. */
typedef int32_t (*attempt)(void *arguments, char *reason, int32_t capacity);

/* libvips has one error buffer for all threads, so words of two failures mix. An attempt runs beside others; one that fails runs
 * again alone with an empty buffer, and the words that it leaves then are its own. */
int32_t with_own_words(attempt run, void *arguments, char *reason, int32_t capacity);

/* Copies what libvips last complained about, as one line. */
int32_t refuse_in_vips_words(int32_t status, const char *what, char *reason, int32_t capacity);

/* What the first band beyond the colours of a TIFF is: 0 unspecified, 1 alpha with colours multiplied by it, 2 alpha; -1 where the file
 * does not say. */
int32_t tiff_extra_sample(const uint8_t *data, size_t length);

/* Refuses samples that are no whole levels and bands that are neither colours nor alpha. `extra` is tiff_extra_sample's answer, -1 for
 * other formats. */
int32_t check_bands(VipsImage *in, int32_t extra, char *reason, int32_t capacity);

/* Turns any decoded picture into 8-bit sRGB with 3 interleaved bands in memory; takes no reference of `in`. */
int32_t to_srgb(VipsImage *in, bool use_profile, int32_t extra, VipsImage **out, char *reason, int32_t capacity);

/* Whether the embedded profile says of itself that it is sRGB. */
bool is_srgb_profile(const uint8_t *profile, size_t length);

#endif
