#ifndef EDGEPRUNE_STANDIN_MICRO_MUTABLE_OP_RESOLVER_H_
#define EDGEPRUNE_STANDIN_MICRO_MUTABLE_OP_RESOLVER_H_

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"

struct TFLMRegistration {
  const char* standin_name;
};

namespace tflite {

TFLMRegistration Register_ADD();
TFLMRegistration Register_AVERAGE_POOL_2D();
TFLMRegistration Register_CONV_2D();
TFLMRegistration Register_DEPTHWISE_CONV_2D();
TFLMRegistration Register_EXPAND_DIMS();
TFLMRegistration Register_FULLY_CONNECTED();
TFLMRegistration Register_MEAN();
TFLMRegistration Register_RESHAPE();
TFLMRegistration Register_SOFTMAX();
TFLMRegistration Register_SQUEEZE();

TFLMRegistration Register_ADD_INT8();
TFLMRegistration Register_AVERAGE_POOL_2D_INT8();
TFLMRegistration Register_CONV_2D_INT8();
TFLMRegistration Register_DEPTHWISE_CONV_2D_INT8();
TFLMRegistration Register_FULLY_CONNECTED_INT8();
TFLMRegistration Register_SOFTMAX_INT8();

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddAdd(
      const TFLMRegistration& registration = Register_ADD()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddAveragePool2D(
      const TFLMRegistration& registration = Register_AVERAGE_POOL_2D()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddConv2D(
      const TFLMRegistration& registration = Register_CONV_2D()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddDepthwiseConv2D(
      const TFLMRegistration& registration = Register_DEPTHWISE_CONV_2D()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddExpandDims(
      const TFLMRegistration& registration = Register_EXPAND_DIMS()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddFullyConnected(
      const TFLMRegistration& registration = Register_FULLY_CONNECTED()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddMean(
      const TFLMRegistration& registration = Register_MEAN()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddReshape(
      const TFLMRegistration& registration = Register_RESHAPE()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddSoftmax(
      const TFLMRegistration& registration = Register_SOFTMAX()) {
    return StandinAdd(registration);
  }
  TfLiteStatus AddSqueeze(
      const TFLMRegistration& registration = Register_SQUEEZE()) {
    return StandinAdd(registration);
  }

 private:
  TfLiteStatus StandinAdd(const TFLMRegistration& registration) {
    if (standin_count == tOpCount) {
      return kTfLiteError;
    }
    standin_names = names_;
    names_[standin_count++] = registration.standin_name;
    return kTfLiteOk;
  }

  const char* names_[tOpCount];
};

}  // namespace tflite

#endif  // EDGEPRUNE_STANDIN_MICRO_MUTABLE_OP_RESOLVER_H_
