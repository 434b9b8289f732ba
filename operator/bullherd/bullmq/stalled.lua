--[[
  Goes before BullMQ's own moveStalledJobsToWait-9.lua, in one script, so that both see the same moment.

  Where nothing is active and nothing suspected there is nothing to do: an idle queue is not written to, and one that
  does not exist is not created (BullMQ's script would write its meta key and its check key).

  A paused queue: bullmq 5 resumes by renaming `paused` over `wait`, and whatever is in `wait` is gone with it. So
  unless bullmq 6 alone manages the queue, a recovered item goes to `paused`, as bullmq 5's own check does it. bullmq 6
  and its Python sibling merge both lists when they resume.
]]
if redis.call("EXISTS", KEYS[1], KEYS[3]) == 0 then return {} end

local queue_meta = redis.call("HMGET", KEYS[5], "paused", "version")
if queue_meta[1] then
  local major = tonumber(string.match(queue_meta[2] or "", "^bullmq:(%d+)"))
  if not major or major < 6 or redis.call("EXISTS", KEYS[6]) == 1 then
    KEYS[2] = KEYS[6]
  end
end
