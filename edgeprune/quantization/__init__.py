"""Quantization: a trained Keras network to a full int8 .tflite file."""
