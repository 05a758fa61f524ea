"""What hands tasks to workers, and what a worker is."""
