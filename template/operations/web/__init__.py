"""What every request passes on its way: its id and its line in the log, headers, and the probes of the platform."""
