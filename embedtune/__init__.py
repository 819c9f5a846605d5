"""Fine-tune embedding models on your own Kubeflow cluster."""

__version__ = "0.1.0"
