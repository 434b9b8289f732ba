"""All that the operator does with Redis: it looks, it listens, and it brings back what dead workers held.

It speaks BullMQ's protocol by BullMQ's own scripts wherever something is changed; what it only reads, it
reads with a script of its own. It never adds, starts, finishes or deletes an item.

``OPERATOR_ACL`` are the rules for a Redis user of its own, beside a key pattern for the prefixes of the
queues, such as ``~bull:*``.
"""

OPERATOR_ACL = (
    "resetchannels -@all +auth +select +client|setname +script|load"
    # snapshots.py
    " +evalsha_ro +exists +llen +lindex +zcard +zcount +zrange +zrangebyscore +hmget +get +pttl"
    # holders.py
    " +lrange +hget"
    # events.py
    " +xread +xrevrange"
    # stalled.py: moveStalledJobsToWait-9.lua
    " +evalsha +set +del +hset +hincrby +zscore +zadd +lrem +lpush +rpush"
    " +smembers +sadd +xadd +xtrim"
)
