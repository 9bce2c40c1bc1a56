/*
 * The four functions of <string.h> that compilers call on their own account, and the names that
 * the Arm run-time ABI (IHI 0043, section 4.3.4) gives them.
 *
 * Words are moved where both sides can be aligned, or where the core reads unaligned words
 * (__ARM_FEATURE_UNALIGNED); the may_alias types make that legal C for any object.
 */

#include <stddef.h>
#include <stdint.h>

#include "string.h"

typedef uint32_t __attribute__((may_alias)) word;

struct __attribute__((packed, may_alias)) loose_word {
    uint32_t value;
};

/* One copy of each loop, whatever the number of its names. */
#define SHARED __attribute__((noinline)) static

#define WORD sizeof(word)
#define BLOCK (4u * WORD)

static size_t misalignment(const void *address) {
    return (uintptr_t)address % WORD;
}

/* Whole words from `from`, of any alignment, to the aligned `to`; returns the bytes moved. */
static size_t copy_words(unsigned char *to, const unsigned char *from, size_t count) {
    const size_t whole = count - count % WORD;
    const size_t blocks = count - count % BLOCK;
    size_t done = 0;
    if (misalignment(from) == 0u) {
        for (; done < blocks; done += BLOCK) {
            word *out = (word *)(void *)(to + done);
            const word *in = (const word *)(const void *)(from + done);
            const word a = in[0];
            const word b = in[1];
            const word c = in[2];
            const word d = in[3];
            out[0] = a;
            out[1] = b;
            out[2] = c;
            out[3] = d;
        }
        for (; done < whole; done += WORD) {
            *(word *)(void *)(to + done) = *(const word *)(const void *)(from + done);
        }
        return done;
    }
#ifdef __ARM_FEATURE_UNALIGNED
    for (; done < whole; done += WORD) {
        const struct loose_word *in = (const struct loose_word *)(const void *)(from + done);
        *(word *)(void *)(to + done) = in->value;
    }
#endif
    return done;
}

/* Upwards, which is also right for overlapping ranges with `to` below `from`. */
SHARED void copy_up(unsigned char *to, const unsigned char *from, size_t count) {
    while (count > 0u && misalignment(to) != 0u) {
        *to++ = *from++;
        --count;
    }
    const size_t done = copy_words(to, from, count);
    for (size_t i = done; i < count; ++i) {
        to[i] = from[i];
    }
}

/* Downwards, for overlapping ranges with `to` above `from`. */
SHARED void copy_down(unsigned char *to, const unsigned char *from, size_t count) {
    if (misalignment(to) == misalignment(from)) {
        while (count > 0u && misalignment(to + count) != 0u) {
            --count;
            to[count] = from[count];
        }
        while (count >= WORD) {
            count -= WORD;
            *(word *)(void *)(to + count) = *(const word *)(const void *)(from + count);
        }
    }
    while (count > 0u) {
        --count;
        to[count] = from[count];
    }
}

SHARED void fill(unsigned char *to, unsigned char value, size_t count) {
    while (count > 0u && misalignment(to) != 0u) {
        *to++ = value;
        --count;
    }
    const word pattern = value * 0x01010101u;
    for (; count >= BLOCK; count -= BLOCK, to += BLOCK) {
        word *out = (word *)(void *)to;
        out[0] = pattern;
        out[1] = pattern;
        out[2] = pattern;
        out[3] = pattern;
    }
    for (; count >= WORD; count -= WORD, to += WORD) {
        *(word *)(void *)to = pattern;
    }
    for (; count > 0u; --count) {
        *to++ = value;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    copy_up(to, from, count);
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    if ((uintptr_t)to - (uintptr_t)from >= count) {
        copy_up(to, from, count);
    } else {
        copy_down(to, from, count);
    }
    return to;
}

void *memset(void *to, int value, size_t count) {
    fill(to, (unsigned char)value, count);
    return to;
}

int memcmp(const void *left, const void *right, size_t count) {
    const unsigned char *a = left;
    const unsigned char *b = right;
    for (size_t i = 0; i < count; ++i) {
        if (a[i] != b[i]) {
            return (int)a[i] - (int)b[i];
        }
    }
    return 0;
}

/* The ABI's names: alignment in the name is a promise that the general function does not need. */
void __aeabi_memcpy(void *to, const void *from, size_t count);
void __aeabi_memcpy4(void *to, const void *from, size_t count);
void __aeabi_memcpy8(void *to, const void *from, size_t count);
void __aeabi_memmove(void *to, const void *from, size_t count);
void __aeabi_memmove4(void *to, const void *from, size_t count);
void __aeabi_memmove8(void *to, const void *from, size_t count);
void __aeabi_memset(void *to, size_t count, int value);
void __aeabi_memset4(void *to, size_t count, int value);
void __aeabi_memset8(void *to, size_t count, int value);
void __aeabi_memclr(void *to, size_t count);
void __aeabi_memclr4(void *to, size_t count);
void __aeabi_memclr8(void *to, size_t count);

void __aeabi_memcpy(void *to, const void *from, size_t count) {
    copy_up(to, from, count);
}

void __aeabi_memcpy4(void *to, const void *from, size_t count) {
    copy_up(to, from, count);
}

void __aeabi_memcpy8(void *to, const void *from, size_t count) {
    copy_up(to, from, count);
}

void __aeabi_memmove(void *to, const void *from, size_t count) {
    (void)memmove(to, from, count);
}

void __aeabi_memmove4(void *to, const void *from, size_t count) {
    (void)memmove(to, from, count);
}

void __aeabi_memmove8(void *to, const void *from, size_t count) {
    (void)memmove(to, from, count);
}

void __aeabi_memset(void *to, size_t count, int value) {
    fill(to, (unsigned char)value, count);
}

void __aeabi_memset4(void *to, size_t count, int value) {
    fill(to, (unsigned char)value, count);
}

void __aeabi_memset8(void *to, size_t count, int value) {
    fill(to, (unsigned char)value, count);
}

void __aeabi_memclr(void *to, size_t count) {
    fill(to, 0u, count);
}

void __aeabi_memclr4(void *to, size_t count) {
    fill(to, 0u, count);
}

void __aeabi_memclr8(void *to, size_t count) {
    fill(to, 0u, count);
}
