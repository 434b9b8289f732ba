/*
 * What a web app does to have corrections aggregated: it adds items to a BullMQ queue. Nothing here knows of Kubernetes.
 * Runs with bullmq 5 and 6.
 */
import { Queue } from "bullmq";
import { redisConnection } from "./redis.js";

export const QUEUE_NAME = "correction-aggregation";
export const DAILY_NAME = "daily-aggregation";
export const DAILY_PATTERN = "0 1 * * *";

const DAY_S = 24 * 60 * 60;

/* A database that is away for some minutes costs nothing but time: 8 attempts, 2 s, 4 s, … 128 s apart. */
const defaultJobOptions = {
  attempts: 8,
  backoff: { type: "exponential", delay: 2000 },
  removeOnComplete: { age: 7 * DAY_S, count: 1000 },
  removeOnFail: { age: 30 * DAY_S },
};

/* A request of a user must not wait for ever: bullmq itself would, for a Redis that is not there. */
const REDIS_LIMIT_MS = 5000;

let queue;

/* One queue, and so one connection, for the whole process. */
export function correctionAggregationQueue() {
  if (!queue) {
    queue = new Queue(QUEUE_NAME, {
      prefix: process.env.QUEUE_PREFIX || "bull",
      connection: { ...redisConnection(), maxRetriesPerRequest: 3 },
      defaultJobOptions,
    });
    queue.on("error", (error) => console.error(`${QUEUE_NAME}: ${error.message || error.code}`));
  }
  return queue;
}

/*
 * Aggregate the corrections of a range now; the job's id comes back. `start` belongs to the range, `end` does not.
 * Both are Dates, or ISO 8601 texts.
 */
export async function triggerImmediateCorrectionAggregation([start, end]) {
  const data = { type: "range", startDate: isoTime(start), endDate: isoTime(end) };
  const job = await (await readyQueue()).add("immediate-aggregation", data);
  return job.id;
}

/* Aggregate the day before, every night at one o'clock. Call it at every start of the app: it creates or updates. */
export async function registerDailyAggregation({ timeZone = "UTC" } = {}) {
  await (await readyQueue()).upsertJobScheduler(
    DAILY_NAME,
    { pattern: DAILY_PATTERN, tz: timeZone },
    { name: DAILY_NAME, data: { type: "daily", timeZone } },
  );
}

/*
 * The same as apps on bullmq 5 still write it. Use one of the two, not both. Not with bullmq 6: that ignores `repeat`
 * without a word and adds the item once, now.
 */
export async function registerDailyAggregationWithRepeat({ timeZone = "UTC" } = {}) {
  await (await readyQueue()).add(
    DAILY_NAME,
    { type: "daily", timeZone },
    { repeat: { pattern: DAILY_PATTERN, tz: timeZone } },
  );
}

export async function closeCorrectionAggregation() {
  if (queue) await within(REDIS_LIMIT_MS, queue.close(), "closing the queue");
  queue = undefined;
}

async function readyQueue() {
  const ready = correctionAggregationQueue();
  const { host, port } = redisConnection();
  await within(REDIS_LIMIT_MS, ready.waitUntilReady(), `connecting to Redis at ${host}:${port}`);
  return ready;
}

async function within(limitMs, promise, what) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function isoTime(moment) {
  return moment instanceof Date ? moment.toISOString() : moment;
}
