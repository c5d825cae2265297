#define _GNU_SOURCE 1
#pragma once

// CRC-32C by the processor's instruction.

#include "CYokeFeatures.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)

static inline int yoke_has_crc32c_instruction(void) { return __builtin_cpu_supports("sse4.2"); }

/// Continues a CRC-32C register (not inverted) over `count` bytes. Only where the instruction exists.
__attribute__((target("sse4.2"))) static inline uint32_t yoke_crc32c_continue(
    uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *next = (const unsigned char *)bytes;
    uint64_t wide = crc;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        next += 8;
        count -= 8;
    }
    crc = (uint32_t)wide;
    while (count > 0) {
        crc = __builtin_ia32_crc32qi(crc, *next);
        next += 1;
        count -= 1;
    }
    return crc;
}

#else

static inline int yoke_has_crc32c_instruction(void) { return 0; }
static inline uint32_t yoke_crc32c_continue(uint32_t crc, const void *bytes, size_t count) {
    (void)bytes;
    (void)count;
    return crc;
}

#endif
