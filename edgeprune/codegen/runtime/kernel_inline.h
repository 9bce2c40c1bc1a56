/*
 * What kernels are written with that are specialized for a layer's numbers: an EDGEPRUNE_INLINE
 * function takes them as its last arguments, and model.c calls it once for each set of literals.
 */
#ifndef EDGEPRUNE_KERNEL_INLINE_H
#define EDGEPRUNE_KERNEL_INLINE_H

#if defined(__GNUC__)
#define EDGEPRUNE_INLINE static inline __attribute__((always_inline))
#else
#define EDGEPRUNE_INLINE static inline
#endif

#endif
