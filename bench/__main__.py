"""``python -m bench``: every part, one after the other."""

from bench import burst, footprint, wake, worker_throughput

for part in (wake, burst, footprint, worker_throughput):
    part.main()
