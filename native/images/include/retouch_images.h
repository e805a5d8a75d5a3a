/* retouch_images: pictures in and out of memory, over libvips. A C ABI for P/Invoke.
 *
 * Every function returns a retouch_images_status. On failure a UTF-8 reason, cut to fit and always terminated, is put into
 * `reason` (which may be NULL with capacity 0). Nothing is thrown, aborted or printed. All functions may be called from any thread
 * at once, after retouch_images_open has returned RETOUCH_IMAGES_OK. */
#ifndef RETOUCH_IMAGES_H
#define RETOUCH_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#if defined(RETOUCH_IMAGES_BUILD)
#define RETOUCH_IMAGES_API __attribute__((visibility("default")))
#else
#define RETOUCH_IMAGES_API
#endif

/* Raised whenever a signature or a struct below changes. */
#define RETOUCH_IMAGES_ABI 4

typedef enum {
    RETOUCH_IMAGES_OK = 0,
    RETOUCH_IMAGES_UNREADABLE = 1,  /* broken, truncated, or of a kind that cannot become RGB */
    RETOUCH_IMAGES_UNSUPPORTED = 2, /* no format of retouch_images_format */
    RETOUCH_IMAGES_TOO_LARGE = 3,   /* its header announces more pixels than allowed */
    RETOUCH_IMAGES_FAILED = 4       /* wrong arguments, or libvips could not start or write */
} retouch_images_status;

typedef enum {
    RETOUCH_IMAGES_JPEG = 1,
    RETOUCH_IMAGES_PNG = 2,
    RETOUCH_IMAGES_WEBP = 3,
    RETOUCH_IMAGES_TIFF = 4,
    /* 5 is BMP, which is read elsewhere. */
    RETOUCH_IMAGES_GIF = 6, /* the first picture of an animation */
    RETOUCH_IMAGES_HEIF = 7 /* AVIF and HEIC */
} retouch_images_format;

typedef struct {
    int32_t format;      /* retouch_images_format */
    int32_t width;       /* of the pixels handed over (probe: of the whole picture), upright */
    int32_t height;
    int32_t full_width;  /* of the picture in the file, upright */
    int32_t full_height;
    int32_t orientation; /* EXIF orientation found, 1 to 8 */
    int32_t shrink;      /* factor of shrink-on-load: 1, 2, 4 or 8 */
    int32_t has_alpha;
    int32_t has_profile;
    int32_t bits;        /* bits a sample in the file, as libvips reports them: 8, 16, 32, 64 */
} retouch_images_info;

/* The ABI number the library was built with. */
RETOUCH_IMAGES_API int32_t retouch_images_abi(void);

/* Starts libvips once: one thread a picture, no operation cache, untrusted loaders blocked, silent. Further calls do nothing. */
RETOUCH_IMAGES_API int32_t retouch_images_open(char *reason, int32_t capacity);

/* Version of libvips, e.g. "8.14.1"; owned by the library. */
RETOUCH_IMAGES_API const char *retouch_images_vips_version(void);

/* Whether this libvips has a loader for a format; GIF and HEIF are optional in it. */
RETOUCH_IMAGES_API int32_t retouch_images_reads(int32_t format);

/* Reads the header only. `max_pixels` bounds width * height. */
RETOUCH_IMAGES_API int32_t retouch_images_probe(const uint8_t *data, int64_t length, int64_t max_pixels, retouch_images_info *info,
                                                char *reason, int32_t capacity);

/* Decodes to upright sRGB, 8 bit, 3 interleaved channels, alpha laid over white. With min_side > 0, JPEG and WebP may be shrunk by
 * 2, 4 or 8 while decoding as long as the shorter side stays at least min_side. With use_profile = 0 an embedded ICC profile is
 * ignored and RGB samples are taken as sRGB. `*pixels` (width * height * 3 bytes) belongs to the
 * caller, who gives it back with retouch_images_free. */
RETOUCH_IMAGES_API int32_t retouch_images_decode(const uint8_t *data, int64_t length, int64_t max_pixels, int32_t min_side,
                                                 int32_t use_profile, uint8_t **pixels, retouch_images_info *info, char *reason,
                                                 int32_t capacity);

/* Encodes 8-bit interleaved RGB. `format` is JPEG, PNG or WEBP; `quality` is 1 to 100 for JPEG and WebP (WebP 100 is lossless) and
 * ignored for PNG. `*encoded` belongs to the caller, who gives it back with retouch_images_free. */
RETOUCH_IMAGES_API int32_t retouch_images_encode(const uint8_t *rgb, int32_t width, int32_t height, int32_t format, int32_t quality,
                                                 uint8_t **encoded, int64_t *length, char *reason, int32_t capacity);

typedef enum {
    RETOUCH_IMAGES_NFC = 1, /* composed */
    RETOUCH_IMAGES_NFKC = 2 /* composed, with variants of a character replaced by it */
} retouch_images_normal_form;

/* Brings UTF-8 into one of Unicode's normal forms (Unicode Standard Annex #15), by glib, which libvips brings along; libvips itself
 * need not be open. Zero bytes are characters. More than 128 marks in a row are put in order 128 at a time, since putting them in
 * order takes quadratic time; nothing that people write has so many. `*result` belongs to the caller, who gives it back with
 * retouch_images_free. UNREADABLE: the text is no UTF-8. TOO_LARGE: it has more than 64 MiB. */
RETOUCH_IMAGES_API int32_t retouch_images_normalise(const char *text, int64_t length, int32_t form, char **result,
                                                    int64_t *result_length, char *reason, int32_t capacity);

/* Gives back what decode, encode or normalise handed out; NULL is fine. */
RETOUCH_IMAGES_API void retouch_images_free(void *memory);

#endif
