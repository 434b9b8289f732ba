"""Cron schedules as Kubernetes' CronJob evaluates them: in the wall-clock time of a time zone. Pure.

``fields.py`` reads the text, ``local_times.py`` walks the times of day that it names, and ``schedule.py``
says which instants those are where clocks change:

- A time that the clock skips does not happen, not even later.
- A time that the clock shows twice happens twice.

That is what robfig/cron v3 does, which Kubernetes uses; where it stumbles over its own steps (a clock that
changes by half an hour, a day without midnight) we keep the rule. The Python worker's ``cron.py`` differs on
purpose: its measure is BullMQ's cron-parser, which runs a daily job once, whatever the clock does.

No library does this. croniter reads other things than robfig in the same text (reversed ranges, ``7``,
``L``), is wrong across clock changes, and BullMQ pins it to an old version; so the text must be read here,
and what is left of a schedule then is sorted numbers.
"""

from bullherd.cron.schedule import CronSchedule, zone_named

__all__ = ["CronSchedule", "zone_named"]
