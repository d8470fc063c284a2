"""What is around every request: the application, who may call, errors, limits, measures, descriptions."""
