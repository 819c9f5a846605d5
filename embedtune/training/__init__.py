"""A model and documents become a fine-tuned model and its history."""
