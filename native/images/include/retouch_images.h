/* retouch_images: decoding and encoding of pictures in memory with libvips. A C ABI for P/Invoke.
 *
 * Every function returns a retouch_images_status. On failure, a UTF-8 reason, truncated to fit and always terminated, is written to
 * `reason` (which can be NULL with capacity 0). No function throws, aborts or prints. All functions are thread-safe after
 * retouch_images_open has returned RETOUCH_IMAGES_OK. */
#ifndef RETOUCH_IMAGES_H
#define RETOUCH_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#if defined(RETOUCH_IMAGES_BUILD)
#define RETOUCH_IMAGES_API __attribute__((visibility("default")))
#else
#define RETOUCH_IMAGES_API
#endif

/* Increased whenever a signature or a struct below changes. */
#define RETOUCH_IMAGES_ABI 4

typedef enum {
    RETOUCH_IMAGES_OK = 0,
    RETOUCH_IMAGES_UNREADABLE = 1,  /* corrupt, truncated, or not convertible to RGB */
    RETOUCH_IMAGES_UNSUPPORTED = 2, /* not a format of retouch_images_format */
    RETOUCH_IMAGES_TOO_LARGE = 3,   /* the header has more pixels than allowed */
    RETOUCH_IMAGES_FAILED = 4       /* invalid arguments, or libvips could not start or write */
} retouch_images_status;

typedef enum {
    RETOUCH_IMAGES_JPEG = 1,
    RETOUCH_IMAGES_PNG = 2,
    RETOUCH_IMAGES_WEBP = 3,
    RETOUCH_IMAGES_TIFF = 4,
    /* 5 is BMP, which is decoded in managed code. */
    RETOUCH_IMAGES_GIF = 6, /* the first frame of an animation */
    RETOUCH_IMAGES_HEIF = 7 /* AVIF and HEIC */
} retouch_images_format;

typedef struct {
    int32_t format;      /* retouch_images_format */
    int32_t width;       /* of the returned pixels (probe: of the whole picture), after EXIF rotation */
    int32_t height;
    int32_t full_width;  /* of the picture in the file, after EXIF rotation */
    int32_t full_height;
    int32_t orientation; /* EXIF orientation, 1 to 8 */
    int32_t shrink;      /* factor of shrink-on-load: 1, 2, 4 or 8 */
    int32_t has_alpha;
    int32_t has_profile;
    int32_t bits;        /* bits per sample in the file, as reported by libvips: 8, 16, 32, 64 */
} retouch_images_info;

/* ABI number of the library. */
RETOUCH_IMAGES_API int32_t retouch_images_abi(void);

/* Starts libvips once: one thread per picture, no operation cache, untrusted loaders blocked, no output. Further calls have no effect. */
RETOUCH_IMAGES_API int32_t retouch_images_open(char *reason, int32_t capacity);

/* Version of libvips, e.g. "8.14.1"; owned by the library. */
RETOUCH_IMAGES_API const char *retouch_images_vips_version(void);

/* Whether libvips has a loader for a format; GIF and HEIF are optional. */
RETOUCH_IMAGES_API int32_t retouch_images_reads(int32_t format);

/* Reads the header. `max_pixels` is the maximum of width * height. */
RETOUCH_IMAGES_API int32_t retouch_images_probe(const uint8_t *data, int64_t length, int64_t max_pixels, retouch_images_info *info,
                                                char *reason, int32_t capacity);

/* Decodes to sRGB after EXIF rotation: 8 bits, 3 interleaved channels, alpha composited over white. With min_side > 0, JPEG and WebP can
 * be downscaled by 2, 4 or 8 in the decoder as long as the shorter side keeps at least min_side pixels. With use_profile = 0, an
 * embedded ICC profile is ignored and RGB samples are treated as sRGB. `*pixels` (width * height * 3 bytes) is owned by the caller and
 * freed with retouch_images_free. */
RETOUCH_IMAGES_API int32_t retouch_images_decode(const uint8_t *data, int64_t length, int64_t max_pixels, int32_t min_side,
                                                 int32_t use_profile, uint8_t **pixels, retouch_images_info *info, char *reason,
                                                 int32_t capacity);

/* Encodes 8-bit interleaved RGB. `format` is JPEG, PNG or WEBP; `quality` is 1 to 100 for JPEG and WebP (WebP 100 is lossless) and
 * ignored for PNG. `*encoded` is owned by the caller and freed with retouch_images_free. */
RETOUCH_IMAGES_API int32_t retouch_images_encode(const uint8_t *rgb, int32_t width, int32_t height, int32_t format, int32_t quality,
                                                 uint8_t **encoded, int64_t *length, char *reason, int32_t capacity);

typedef enum {
    RETOUCH_IMAGES_NFC = 1, /* composed */
    RETOUCH_IMAGES_NFKC = 2 /* composed, with compatibility characters replaced */
} retouch_images_normal_form;

/* Normalises UTF-8 text (Unicode Standard Annex #15) with GLib, a dependency of libvips; libvips need not be open. Zero bytes are treated
 * as characters. Runs of more than 128 combining marks are ordered in blocks of 128, since ordering takes quadratic time; real text has
 * no such runs. `*result` is owned by the caller and freed with retouch_images_free. UNREADABLE: the text is not valid UTF-8. TOO_LARGE:
 * it has more than 64 MiB. */
RETOUCH_IMAGES_API int32_t retouch_images_normalise(const char *text, int64_t length, int32_t form, char **result,
                                                    int64_t *result_length, char *reason, int32_t capacity);

/* Frees memory returned by decode, encode or normalise; NULL is allowed. */
RETOUCH_IMAGES_API void retouch_images_free(void *memory);

#endif
