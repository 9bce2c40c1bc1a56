/*
 * edgeprune: two arrays walked together along several axes, each with steps of its own.
 *
 * Bounds: no product of sizes and steps leaves int32, since no tensor is larger than 2^31 bytes.
 */
#ifndef EDGEPRUNE_KERNEL_WALK_H
#define EDGEPRUNE_KERNEL_WALK_H

#include <stdint.h>

#define EDGEPRUNE_WALK_AXES 4

/* From the outermost axis in; an axis that is not needed has the size 1. */
typedef struct edgeprune_walk {
    int32_t size[EDGEPRUNE_WALK_AXES];
    int32_t first[EDGEPRUNE_WALK_AXES];  /* bytes from one to the next of the first array */
    int32_t second[EDGEPRUNE_WALK_AXES]; /* and of the second */
} edgeprune_walk;

/* Where the walk is: it starts with zeros. */
typedef struct edgeprune_position {
    int32_t index[EDGEPRUNE_WALK_AXES];
    int32_t first; /* offset in bytes */
    int32_t second;
} edgeprune_position;

/* Goes on to the next position; 0 at the end. */
static inline int32_t edgeprune_walk_on(const edgeprune_walk *walk, edgeprune_position *position)
{
    for (int32_t axis = EDGEPRUNE_WALK_AXES - 1; axis >= 0; axis--) {
        position->first += walk->first[axis];
        position->second += walk->second[axis];
        position->index[axis]++;
        if (position->index[axis] < walk->size[axis]) {
            return 1;
        }
        position->index[axis] = 0;
        position->first -= walk->size[axis] * walk->first[axis];
        position->second -= walk->size[axis] * walk->second[axis];
    }
    return 0;
}

#endif
