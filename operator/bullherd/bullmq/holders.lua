--[[
  Counts which worker holds how many of a queue's active items, changing nothing.

  KEYS[1]  start of the queue's keys, with the colon: "bull:orders:"

  Returns how many items say no worker's name, then name and count of each worker that is named. A key of a wrong type
  is an error that names the key. The keys of items are not in KEYS, for the reason told in snapshot.lua.
]]
local prefix = KEYS[1]

local function read(command, name, ...)
  local reply = redis.pcall(command, prefix .. name, ...)
  if type(reply) == "table" and reply.err then
    error(reply.err .. " (" .. prefix .. name .. ")", 0)
  end
  return reply
end

local function look()
  local unknown, held = 0, {}
  for _, id in ipairs(read("LRANGE", "active", 0, -1)) do
    local worker = read("HGET", id, "pb")
    if worker and worker ~= "" then
      held[worker] = (held[worker] or 0) + 1
    else
      unknown = unknown + 1
    end
  end
  local result = { unknown }
  for worker, count in pairs(held) do
    result[#result + 1] = worker
    result[#result + 1] = count
  end
  return result
end

local fine, result = pcall(look)
if fine then return result end
return redis.error_reply(tostring(result))
