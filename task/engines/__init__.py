"""The engines that compute models: TensorFlow, and NumPy for the smallest model."""
