// Defines the stand-ins on the host, and gives a test a hold on the generated
// sources. The interpreter keeps what it was fed, spoils its input as the real
// one does, and answers with the first values of the input.
#include "model_data.h"
#include "model_runner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace {

uint32_t schema_version = TFLITE_SCHEMA_VERSION;
size_t input_bytes = edgeprune::kInputSize;
size_t arena_used = 4096;
bool invoke_fails = false;
size_t tail_usage = 200;
int8_t fed[edgeprune::kInputSize];
int logged = 0;

edgeprune::Runner runners[32];

}  // namespace

void MicroPrintf(const char*, ...) { ++logged; }

namespace tflite {

#define EDGEPRUNE_STANDIN_REGISTER(name) \
  TFLMRegistration Register_##name() { return {#name}; }
EDGEPRUNE_STANDIN_REGISTER(ADD)
EDGEPRUNE_STANDIN_REGISTER(AVERAGE_POOL_2D)
EDGEPRUNE_STANDIN_REGISTER(CONV_2D)
EDGEPRUNE_STANDIN_REGISTER(DEPTHWISE_CONV_2D)
EDGEPRUNE_STANDIN_REGISTER(EXPAND_DIMS)
EDGEPRUNE_STANDIN_REGISTER(FULLY_CONNECTED)
EDGEPRUNE_STANDIN_REGISTER(MEAN)
EDGEPRUNE_STANDIN_REGISTER(RESHAPE)
EDGEPRUNE_STANDIN_REGISTER(SOFTMAX)
EDGEPRUNE_STANDIN_REGISTER(SQUEEZE)
EDGEPRUNE_STANDIN_REGISTER(ADD_INT8)
EDGEPRUNE_STANDIN_REGISTER(AVERAGE_POOL_2D_INT8)
EDGEPRUNE_STANDIN_REGISTER(CONV_2D_INT8)
EDGEPRUNE_STANDIN_REGISTER(DEPTHWISE_CONV_2D_INT8)
EDGEPRUNE_STANDIN_REGISTER(FULLY_CONNECTED_INT8)
EDGEPRUNE_STANDIN_REGISTER(SOFTMAX_INT8)

uint32_t Model::version() const { return schema_version; }

const Model* GetModel(const void* buffer) {
  return buffer == edgeprune::kModelData ? static_cast<const Model*>(buffer)
                                         : nullptr;
}

size_t MicroAllocator::GetDefaultTailUsage(bool is_memory_planner_given) {
  return is_memory_planner_given ? tail_usage / 2 : tail_usage;
}

MicroInterpreter::MicroInterpreter(const Model*,
                                   const MicroOpResolver& op_resolver,
                                   uint8_t* tensor_arena,
                                   size_t tensor_arena_size)
    : resolver_(op_resolver),
      arena_(tensor_arena),
      arena_size_(tensor_arena_size) {}

MicroInterpreter::~MicroInterpreter() = default;

TfLiteStatus MicroInterpreter::AllocateTensors() {
  if (arena_size_ < arena_used || resolver_.standin_count == 0) {
    return kTfLiteError;
  }
  int8_t* const place = reinterpret_cast<int8_t*>(arena_);
  input_ = {kTfLiteInt8, {place}, input_bytes};
  output_ = {
      kTfLiteInt8, {place + edgeprune::kInputSize}, edgeprune::kOutputSize};
  return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  for (size_t i = 0; i < edgeprune::kInputSize; ++i) {
    fed[i] = input_.data.int8[i];
    input_.data.int8[i] = 99;
  }
  for (size_t i = 0; i < edgeprune::kOutputSize; ++i) {
    output_.data.int8[i] = fed[i];
  }
  return invoke_fails ? kTfLiteError : kTfLiteOk;
}

TfLiteTensor* MicroInterpreter::input(size_t index) {
  return index == 0 ? &input_ : nullptr;
}

TfLiteTensor* MicroInterpreter::output(size_t index) {
  return index == 0 ? &output_ : nullptr;
}

size_t MicroInterpreter::arena_used_bytes() const { return arena_used; }

}  // namespace tflite

extern "C" {

// What the interpreter is to be like from now on.
void harness_set(uint32_t version, size_t bytes, size_t used, bool fails,
                 size_t tail) {
  schema_version = version;
  input_bytes = bytes;
  arena_used = used;
  invoke_fails = fails;
  tail_usage = tail;
}

size_t harness_input_size() { return edgeprune::kInputSize; }

size_t harness_model_size() { return edgeprune::kModelDataSize; }

const unsigned char* harness_model() { return edgeprune::kModelData; }

size_t harness_label_count() { return edgeprune::kLabelCount; }

const char* harness_label(size_t index) { return edgeprune::kLabels[index]; }

// The name of a registration; null past the last, or where one was refused.
const char* harness_operator(unsigned int index) {
  static edgeprune::ModelResolver resolver;
  if (resolver.standin_count == 0 &&
      edgeprune::RegisterOperators(&resolver) != kTfLiteOk) {
    return nullptr;
  }
  return index < resolver.standin_count ? resolver.standin_names[index]
                                        : nullptr;
}

int harness_logged() { return logged; }

const int8_t* harness_fed() { return fed; }

int runner_init(size_t which, uint8_t* arena, size_t size) {
  return runners[which].Init(arena, size);
}

void runner_reset(size_t which) { runners[which].Reset(); }

size_t runner_push(size_t which, const int16_t* pcm, size_t count) {
  return runners[which].Push(pcm, count);
}

bool runner_ready(size_t which) { return runners[which].Ready(); }

int runner_infer(size_t which) { return runners[which].Infer(); }

const int8_t* runner_scores(size_t which) { return runners[which].Scores(); }

size_t runner_best(size_t which) { return runners[which].Best(); }

size_t runner_arena(size_t which) { return runners[which].ArenaUsedBytes(); }

}  // extern "C"
