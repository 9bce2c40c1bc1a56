#ifndef EDGEPRUNE_STANDIN_MICRO_OP_RESOLVER_H_
#define EDGEPRUNE_STANDIN_MICRO_OP_RESOLVER_H_

#include <stddef.h>

namespace tflite {

class MicroOpResolver {
 public:
  // Of the stand-in only: which registrations were added, in their order.
  const char* const* standin_names = nullptr;
  unsigned int standin_count = 0;
};

}  // namespace tflite

#endif  // EDGEPRUNE_STANDIN_MICRO_OP_RESOLVER_H_
