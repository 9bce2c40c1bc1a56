#ifndef EDGEPRUNE_STANDIN_SCHEMA_GENERATED_H_
#define EDGEPRUNE_STANDIN_SCHEMA_GENERATED_H_

#include <stdint.h>

namespace tflite {

struct Model {
  uint32_t version() const;
};

const Model* GetModel(const void* buffer);

}  // namespace tflite

#endif  // EDGEPRUNE_STANDIN_SCHEMA_GENERATED_H_
