#ifndef EDGEPRUNE_STANDIN_MICRO_INTERPRETER_H_
#define EDGEPRUNE_STANDIN_MICRO_INTERPRETER_H_

#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

#define TFLITE_SCHEMA_VERSION (3)

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& op_resolver,
                   uint8_t* tensor_arena, size_t tensor_arena_size);
  ~MicroInterpreter();

  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t index);
  TfLiteTensor* output(size_t index);
  size_t arena_used_bytes() const;

 private:
  const MicroOpResolver& resolver_;
  uint8_t* arena_;
  size_t arena_size_;
  TfLiteTensor input_;
  TfLiteTensor output_;
};

}  // namespace tflite

#endif  // EDGEPRUNE_STANDIN_MICRO_INTERPRETER_H_
