"""``python -m bench``: every part, one after the other."""

from bench import burst, footprint, many_queues, ticks, wake, worker_throughput

for part in (wake, burst, footprint, ticks, many_queues, worker_throughput):
    part.main()
