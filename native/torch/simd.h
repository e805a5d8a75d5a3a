// Kernels are compiled for several instruction sets; the loader selects the best that the processor supports.
#pragma once

#ifndef RETOUCH_CLONES
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define RETOUCH_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RETOUCH_CLONES
#endif
#endif

#define RETOUCH_INLINE __attribute__((always_inline)) inline
