#!/usr/bin/env node
/*
 * A web app in one command, for demos and tests. One JSON object per line tells what happens.
 *
 *   node demo.js add [--jobs 28] [--days-per-job 1] [--last-day YYYY-MM-DD] [--wait SECONDS]
 *   node demo.js daily [--time-zone UTC]
 *
 * `add` adds range items that end with the last day (default: yesterday, UTC). With --wait it ends when all have
 * finished. Exit code: 0 if all is well, 1 if an item failed or was not finished in time, 2 if nothing could be done.
 */
import { parseArgs } from "node:util";
import { QueueEvents } from "bullmq";
import {
  QUEUE_NAME,
  closeCorrectionAggregation,
  correctionAggregationQueue,
  registerDailyAggregation,
  triggerImmediateCorrectionAggregation,
} from "./correction-aggregation.js";
import { redisConnection } from "./redis.js";

const DAY_MS = 24 * 60 * 60 * 1000;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string", default: "28" },
    "days-per-job": { type: "string", default: "1" },
    "last-day": { type: "string", default: new Date(Date.now() - DAY_MS).toISOString().slice(0, 10) },
    wait: { type: "string" },
    "time-zone": { type: "string", default: "UTC" },
  },
});

function ranges() {
  const count = positive("jobs");
  const length = positive("days-per-job") * DAY_MS;
  const end = Date.parse(values["last-day"]) + DAY_MS;
  if (Number.isNaN(end)) throw new Error("--last-day must be a date such as 2026-11-23");
  return Array.from({ length: count }, (_, number) => {
    const start = end - (count - number) * length;
    return [new Date(start), new Date(start + length)];
  });
}

function positive(name) {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number from 1`);
  return number;
}

async function add() {
  const waitMs = values.wait === undefined ? 0 : positive("wait") * 1000;
  const ids = [];
  for (const range of ranges()) {
    const id = await triggerImmediateCorrectionAggregation(range);
    say({ event: "added", id, startDate: range[0], endDate: range[1] });
    ids.push(id);
  }
  return waitMs === 0 || (await allCompleted(ids, waitMs));
}

async function allCompleted(ids, waitMs) {
  const queue = correctionAggregationQueue();
  const events = new QueueEvents(QUEUE_NAME, { prefix: queue.opts.prefix, connection: redisConnection() });
  events.on("error", (error) => console.error(`${QUEUE_NAME}: ${error.message || error.code}`));
  events.setMaxListeners(0); // each item that is waited for listens to both
  queue.setMaxListeners(0);
  try {
    await events.waitUntilReady();
    const outcomes = await Promise.all(ids.map((id) => finished(queue, events, id, waitMs)));
    return outcomes.every(Boolean);
  } finally {
    await events.close();
  }
}

async function finished(queue, events, id, waitMs) {
  const job = await queue.getJob(id);
  try {
    say({ event: "completed", id, result: await job.waitUntilFinished(events, waitMs) });
    return true;
  } catch (error) {
    say({ event: "failed", id, reason: error.message });
    return false;
  }
}

async function daily() {
  await registerDailyAggregation({ timeZone: values["time-zone"] });
  const next = (await correctionAggregationQueue().getJobSchedulers(0, 0))[0]?.next;
  say({ event: "registered", name: "daily-aggregation", next: next && new Date(next) });
  return true;
}

const commands = { add, daily };
try {
  const command = commands[positionals[0]];
  if (!command || positionals.length > 1) throw new Error("say what to do: node demo.js add | daily");
  process.exitCode = (await command()) ? 0 : 1;
  await closeCorrectionAggregation();
} catch (error) {
  console.error(`demo.js: ${error.message}`);
  process.exit(2); // bullmq would go on trying to connect
}
