"""Which agents a worker runs, one file for each demonstration: `HANDRAIL_FLEET` names one."""
