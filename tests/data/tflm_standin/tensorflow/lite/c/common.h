#ifndef EDGEPRUNE_STANDIN_COMMON_H_
#define EDGEPRUNE_STANDIN_COMMON_H_

#include <stddef.h>
#include <stdint.h>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteNoType = 0, kTfLiteInt8 = 9 };

union TfLitePtrUnion {
  int8_t* int8;
  void* data;
};

struct TfLiteTensor {
  TfLiteType type;
  TfLitePtrUnion data;
  size_t bytes;
};

#endif  // EDGEPRUNE_STANDIN_COMMON_H_
