"""Door 4: OpenAI's speech route."""
