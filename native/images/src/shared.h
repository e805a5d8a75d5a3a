/* Internal declarations shared by the files of this library. */
#ifndef RETOUCH_IMAGES_SHARED_H
#define RETOUCH_IMAGES_SHARED_H

#include <stdbool.h>
#include <vips/vips.h>

#include "retouch_images.h"

/* Writes a formatted reason to the caller's buffer and returns `status`. */
int32_t refuse(int32_t status, char *reason, int32_t capacity, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* An operation that can leave messages in libvips's error buffer. */
typedef int32_t (*attempt)(void *arguments, char *reason, int32_t capacity);

/* libvips has one error buffer for all threads, so messages of concurrent failures mix. Attempts run concurrently; a failed attempt is
 * repeated exclusively with an empty buffer, so that the messages are its own. */
int32_t with_own_words(attempt run, void *arguments, char *reason, int32_t capacity);

/* Writes libvips's error buffer as one line. */
int32_t refuse_in_vips_words(int32_t status, const char *what, char *reason, int32_t capacity);

/* Meaning of the first band after the colours of a TIFF: 0 unspecified, 1 premultiplied alpha, 2 alpha; -1 if the file does not specify
 * it. */
int32_t tiff_extra_sample(const uint8_t *data, size_t length);

/* Refuses samples that are not integer levels, and bands that are neither colours nor alpha. `extra` is the result of tiff_extra_sample,
 * -1 for other formats. */
int32_t check_bands(VipsImage *in, int32_t extra, char *reason, int32_t capacity);

/* Converts a decoded picture to 8-bit sRGB with 3 interleaved bands in memory; does not take ownership of `in`. */
int32_t to_srgb(VipsImage *in, bool use_profile, int32_t extra, VipsImage **out, char *reason, int32_t capacity);

/* Whether the description of the embedded profile names sRGB. */
bool is_srgb_profile(const uint8_t *profile, size_t length);

#endif
