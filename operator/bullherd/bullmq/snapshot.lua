--[[
  Looks at one BullMQ queue, changing nothing. One atomic look: the counts belong together.

  KEYS[1]  start of the queue's keys, with the colon: "bull:orders:"
  ARGV[1]  now, unix milliseconds

  Returns the values in the order of the last lines; nil where there is none. A key of a wrong type is an error
  that names the key.

  The keys of items are not in KEYS: they are only known here, as in all of BullMQ's own scripts. In a cluster they
  share the queue's hash tag.
]]
local prefix = KEYS[1]
local now = tonumber(ARGV[1])

-- Prioritized scores are priority * 2^32 + counter; delayed scores are due_ms * 2^12 + counter.
local PRIORITY_BAND = 4294967296
local DELAY_UNIT = 4096
-- Each priority that is in use costs one look; queues use a handful.
local MOST_BANDS = 16

local function read(command, name, ...)
  local reply = redis.pcall(command, prefix .. name, ...)
  if type(reply) == "table" and reply.err then
    error(reply.err .. " (" .. prefix .. name .. ")", 0)
  end
  return reply
end

-- Scores have 16 digits; Lua's own number format keeps 14.
local function score(number)
  return string.format("%.0f", number)
end

local function earlier(a, b)
  if a and b then return math.min(a, b) end
  return a or b
end

-- Since when a waiting item could have been started: since its delay was over, and if it was taken
-- before (a retry, a stall, a release), not before that. Nil when the item is gone.
local function startable_since(id)
  local item = read("HMGET", id, "timestamp", "opts", "processedOn")
  local created = tonumber(item[1])
  if not created then return nil end
  local readable, opts = pcall(cjson.decode, item[2] or "{}")
  local delay = readable and type(opts) == "table" and tonumber(opts.delay) or 0
  return math.max(created + delay, tonumber(item[3]) or 0)
end

-- Workers take from the right. Plain items are pushed at the left, so the oldest is at the right end; LIFO, retried
-- and stalled items are pushed at the right. Ages then fall from the left into a valley and rise again to the right:
-- where the right end is not older than its neighbour, halving finds the bottom.
local function oldest_in_list(name, length)
  if length == 0 then return nil end
  local function at(index)
    local id = read("LINDEX", name, index)
    return id and startable_since(id) or math.huge
  end
  local low, high = 0, length - 1
  local last = at(high)
  if length > 1 and at(high - 1) < last then
    while low < high do
      local middle = math.floor((low + high) / 2)
      if at(middle + 1) <= at(middle) then low = middle + 1 else high = middle end
    end
    last = at(low)
  end
  if last == math.huge then return nil end
  return last
end

-- The head of the whole set is the next to run; the one that starves is the head of a less urgent priority.
local function oldest_prioritized()
  local oldest
  local from = "-inf"
  for _ = 1, MOST_BANDS do
    local head = read("ZRANGEBYSCORE", "prioritized", from, "+inf", "WITHSCORES", "LIMIT", 0, 1)
    if not head[1] then return oldest end
    oldest = earlier(oldest, startable_since(head[1]))
    from = score((math.floor(tonumber(head[2]) / PRIORITY_BAND) + 1) * PRIORITY_BAND)
  end
  local tail = read("ZRANGE", "prioritized", -1, -1, "WITHSCORES")
  local band = score(math.floor(tonumber(tail[2]) / PRIORITY_BAND) * PRIORITY_BAND)
  local head = read("ZRANGEBYSCORE", "prioritized", band, "+inf", "LIMIT", 0, 1)
  return earlier(oldest, startable_since(head[1]))
end

-- A worker alone leaves traces of a queue that no app has ever used: its stalled check writes `stalled-check`, and
-- `opts.maxLenEvents` into `meta`. Everything else is an app's.
local function exists(counts, meta)
  for _, count in ipairs(counts) do
    if count > 0 then return 1 end
  end
  -- ipairs would end at the first field that is not set.
  for field = 1, 5 do
    if meta[field] then return 1 end
  end
  return redis.call("EXISTS", prefix .. "events", prefix .. "id", prefix .. "repeat") > 0 and 1 or 0
end

local function look()
  local waiting = read("LLEN", "wait")
  local paused_list = read("LLEN", "paused")
  local prioritized = read("ZCARD", "prioritized")

  local last_due = score((now + 1) * DELAY_UNIT - 1)
  local delayed_due = read("ZCOUNT", "delayed", "-inf", last_due)
  local next_delayed = read("ZRANGEBYSCORE", "delayed", "(" .. last_due, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  local next_delayed_at = next_delayed[2] and math.floor(tonumber(next_delayed[2]) / DELAY_UNIT)

  local oldest = earlier(oldest_in_list("wait", waiting), oldest_in_list("paused", paused_list))
  oldest = earlier(oldest, oldest_prioritized())
  if delayed_due > 0 then
    local first = read("ZRANGE", "delayed", 0, 0, "WITHSCORES")
    oldest = earlier(oldest, math.floor(tonumber(first[2]) / DELAY_UNIT))
  end

  local meta = read("HMGET", "meta", "paused", "concurrency", "max", "duration", "version")
  local delayed, active = read("ZCARD", "delayed"), read("LLEN", "active")
  local children, completed = read("ZCARD", "waiting-children"), read("ZCARD", "completed")
  local failed = read("ZCARD", "failed")
  return {
    exists({ waiting, paused_list, prioritized, delayed, active, children, completed, failed }, meta),
    waiting,
    paused_list,
    prioritized,
    delayed,
    delayed_due,
    next_delayed_at or false,
    active,
    children,
    completed,
    failed,
    oldest or false,
    meta[1],
    meta[2],
    meta[3],
    meta[4],
    meta[5],
    read("GET", "limiter"),
    read("PTTL", "limiter"),
  }
end

local fine, result = pcall(look)
if fine then return result end
return redis.error_reply(tostring(result))
