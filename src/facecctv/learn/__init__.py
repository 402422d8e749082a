"""Teaching networks: data tools, recipes and export. Needs the extra `learn`."""

import os

# Keras reads this once, when it is first imported; all networks here are written for PyTorch.
os.environ.setdefault("KERAS_BACKEND", "torch")
