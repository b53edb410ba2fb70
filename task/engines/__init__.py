"""The libraries that train: TensorFlow, and NumPy for the smallest model."""
