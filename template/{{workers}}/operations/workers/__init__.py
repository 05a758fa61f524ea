"""Send tasks to workers, and run them there."""
