"""Runtime: the processes: fleet, worker, settings, embedded Temporal server, logs, telemetry."""
