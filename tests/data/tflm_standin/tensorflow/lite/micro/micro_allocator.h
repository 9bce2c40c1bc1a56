#ifndef EDGEPRUNE_STANDIN_MICRO_ALLOCATOR_H_
#define EDGEPRUNE_STANDIN_MICRO_ALLOCATOR_H_

#include <stddef.h>

namespace tflite {

class MicroAllocator {
 public:
  static size_t GetDefaultTailUsage(bool is_memory_planner_given);
};

}  // namespace tflite

#endif  // EDGEPRUNE_STANDIN_MICRO_ALLOCATOR_H_
