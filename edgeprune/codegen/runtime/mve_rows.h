/*
 * edgeprune: short rows of bytes from one place to another, with Helium (MVE).
 *
 * Every row is one vector of which the first `count` lanes are in use (all of them where `count`
 * is more); nothing else is read or written. The predicate that says so is set once for all rows,
 * in assembly, since compilers set it again for each.
 */
#ifndef EDGEPRUNE_MVE_ROWS_H
#define EDGEPRUNE_MVE_ROWS_H

#include "mve_vector.h"

/* Rows of at most 16 bytes, `from_step` and `to_step` bytes apart; at least one row. */
EDGEPRUNE_INLINE void edgeprune_mve_copy_rows(int8_t *to, int32_t to_step, const int8_t *from,
                                              int32_t from_step, int32_t rows, int32_t count)
{
#if defined(__ARM_FEATURE_MVE)
    edgeprune_mve_bytes row;
    uint32_t predicate;
    __asm__ volatile("vmrs %[predicate], p0\n\t"
                     "vctp.8 %[count]\n\t"
                     "dls lr, %[rows]\n"
                     "1:\n\t"
                     "vpstt\n\t"
                     "vldrbt.u8 %q[row], [%[from]]\n\t"
                     "vstrbt.8 %q[row], [%[to]]\n\t"
                     "add %[from], %[from], %[from_step]\n\t"
                     "add %[to], %[to], %[to_step]\n\t"
                     "le lr, 1b\n\t"
                     "vmsr p0, %[predicate]"
                     : [to] "+r"(to), [from] "+r"(from), [row] "=&w"(row),
                       [predicate] "=&r"(predicate)
                     : [to_step] "r"(to_step), [from_step] "r"(from_step), [rows] "r"(rows),
                       [count] "r"(count)
                     : "lr", "memory");
#else
    for (; rows > 0; rows--) {
        edgeprune_mve_store_first(to, edgeprune_mve_load_first(from, count), count);
        to += to_step;
        from += from_step;
    }
#endif
}

/*
 * Rows of at most 8 bytes, byte n from offsets[n] on, to rows `to_step` bytes apart; at least one
 * row. `to_step` is a compile-time number up to 4095.
 */
EDGEPRUNE_INLINE void edgeprune_mve_gather_rows(int8_t *to, int32_t to_step, const int8_t *from,
                                                int32_t from_step, edgeprune_mve_offsets offsets,
                                                int32_t rows, int32_t count)
{
#if defined(__ARM_FEATURE_MVE)
    edgeprune_mve_halves row;
    uint32_t predicate;
    __asm__ volatile("vmrs %[predicate], p0\n\t"
                     "vctp.16 %[count]\n\t"
                     "dls lr, %[rows]\n"
                     "1:\n\t"
                     "vpstt\n\t"
                     "vldrbt.s16 %q[row], [%[from], %q[offsets]]\n\t"
                     ".if %c[to_step] <= 127\n\t"
                     "vstrbt.16 %q[row], [%[to]], #%c[to_step]\n\t"
                     ".else\n\t"
                     "vstrbt.16 %q[row], [%[to]]\n\t"
                     "add %[to], %[to], #%c[to_step]\n\t"
                     ".endif\n\t"
                     "add %[from], %[from], %[from_step]\n\t"
                     "le lr, 1b\n\t"
                     "vmsr p0, %[predicate]"
                     : [to] "+r"(to), [from] "+r"(from), [row] "=&w"(row),
                       [predicate] "=&r"(predicate)
                     : [to_step] "i"(to_step), [from_step] "r"(from_step),
                       [offsets] "w"(offsets), [rows] "r"(rows), [count] "r"(count)
                     : "lr", "memory");
#else
    for (; rows > 0; rows--) {
        for (int32_t i = 0; i < 8 && i < count; i++) {
            to[i] = from[offsets.lane[i]];
        }
        to += to_step;
        from += from_step;
    }
#endif
}

#endif
