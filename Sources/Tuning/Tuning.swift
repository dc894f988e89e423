// Evaluation and tuning of quantized models.
