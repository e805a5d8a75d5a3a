/* Initialisation of libvips, and error reasons. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared.h"

/* Readers: concurrent attempts. Writer: the exclusive attempt whose messages are reported. */
static pthread_rwlock_t words = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static char start_failure[512];
static bool running;

int32_t refuse(int32_t status, char *reason, int32_t capacity, const char *format, ...)
{
    if (reason != NULL && capacity > 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason, (size_t)capacity, format, arguments);
        va_end(arguments);
    }
    return status;
}

int32_t refuse_in_vips_words(int32_t status, const char *what, char *reason, int32_t capacity)
{
    char line[1024];
    size_t used = 0;
    for (const char *c = vips_error_buffer(); *c != '\0' && used + 2 < sizeof line; c++) {
        if (*c != '\n' && *c != '\r')
            line[used++] = *c;
        else if (c[1] != '\0' && used > 0) {
            line[used++] = ';';
            line[used++] = ' ';
        }
    }
    line[used < sizeof line ? used : sizeof line - 1] = '\0';
    return refuse(status, reason, capacity, "%s%s%s", what, used > 0 ? ": " : "", line);
}

int32_t with_own_words(attempt run, void *arguments, char *reason, int32_t capacity)
{
    if (!running)
        return refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "retouch_images_open has not succeeded");
    pthread_rwlock_rdlock(&words);
    int32_t status = run(arguments, reason, capacity);
    pthread_rwlock_unlock(&words);
    if (status == RETOUCH_IMAGES_OK)
        return status;

    pthread_rwlock_wrlock(&words);
    vips_error_clear();
    status = run(arguments, reason, capacity);
    vips_error_clear();
    pthread_rwlock_unlock(&words);
    return status;
}

static void keep_silent(const char *domain, GLogLevelFlags level, const char *message, void *data)
{
    /* Warnings of decoders are ignored: unreadable data fails anyway. */
}

static void start(void)
{
    /* Prefers writers, which a steady stream of readers would otherwise block. */
#if defined(__GLIBC__)
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&words, &attributes);
    pthread_rwlockattr_destroy(&attributes);
#endif
    if (vips_init("retouch") != 0) {
        refuse_in_vips_words(RETOUCH_IMAGES_FAILED, "libvips cannot be initialised", start_failure, sizeof start_failure);
        vips_error_clear();
        return;
    }
    g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, keep_silent, NULL);
    vips_block_untrusted_set(TRUE);
    /* The caller decodes pictures in parallel; threads within a picture would only contend. */
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    running = true;
}

int32_t retouch_images_abi(void)
{
    return RETOUCH_IMAGES_ABI;
}

int32_t retouch_images_open(char *reason, int32_t capacity)
{
    pthread_once(&started, start);
    return running ? RETOUCH_IMAGES_OK : refuse(RETOUCH_IMAGES_FAILED, reason, capacity, "%s", start_failure);
}

const char *retouch_images_vips_version(void)
{
    return vips_version_string();
}

void retouch_images_free(void *memory)
{
    g_free(memory);
}
