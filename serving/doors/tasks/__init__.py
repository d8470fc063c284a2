"""Door 3: audio generation as tasks."""
