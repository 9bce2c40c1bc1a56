#ifndef EDGEPRUNE_STANDIN_MICRO_LOG_H_
#define EDGEPRUNE_STANDIN_MICRO_LOG_H_

void MicroPrintf(const char* format, ...);

#endif  // EDGEPRUNE_STANDIN_MICRO_LOG_H_
