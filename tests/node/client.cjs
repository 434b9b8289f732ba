/*
 * The web app and the Node workers of the tests: bullmq, driven by JSON lines.
 *
 *   node client.cjs v5|v6 queues      stdin:  {"id": 1, "queue": "q", "prefix": "bull", "call": "add", "args": [...]}
 *                                     stdout: {"id": 1, "result": …}  or  {"id": 1, "error": "…"}
 *   node client.cjs v5|v6 worker      stdin:  first line the worker's settings, any later line ends it gracefully
 *                                     stdout: {"event": "ready"|"started"|"completed"|"failed"|"closed", …}
 *
 * The connection is in the environment (REDIS_HOST, REDIS_PORT, …), as in a pod. The process ends with its stdin, so
 * that nothing outlives the test. tests/fixtures/node.py is the other side.
 */
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const [major, role] = process.argv.slice(2);
const bullmq = createRequire(path.join(__dirname, major, "package.json"))("bullmq");

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function connection() {
  const env = process.env;
  const options = {
    host: env.REDIS_HOST,
    port: Number(env.REDIS_PORT),
    username: env.REDIS_USERNAME || undefined,
    password: env.REDIS_PASSWORD || undefined,
    db: Number(env.REDIS_DB || 0),
    retryStrategy: () => 100,
  };
  if (env.REDIS_TLS === "true") {
    const read = (file) => (file ? fs.readFileSync(file) : undefined);
    options.tls = { ca: read(env.REDIS_TLS_CA_FILE), cert: read(env.REDIS_TLS_CERT_FILE), key: read(env.REDIS_TLS_KEY_FILE) };
  }
  return options;
}

/* What a test wants to know of an item, with the names that bullmq gives it. */
async function described(job) {
  if (!job) return null;
  const logs = await queueOf(job.queueName, job.prefix).getJobLogs(job.id);
  return {
    id: job.id,
    name: job.name,
    data: job.data,
    opts: job.opts,
    progress: job.progress,
    returnvalue: job.returnvalue,
    failedReason: job.failedReason,
    stacktrace: job.stacktrace,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    processedBy: job.processedBy,
    timestamp: job.timestamp,
    processedOn: job.processedOn,
    finishedOn: job.finishedOn,
    delay: job.delay,
    priority: job.priority,
    state: await job.getState(),
    logs: logs.logs,
  };
}

const queues = new Map();
function queueOf(name, prefix) {
  const key = `${prefix}:${name}`;
  if (!queues.has(key)) {
    const queue = new bullmq.Queue(name, { prefix, connection: connection() });
    queue.on("error", (error) => console.error(String(error)));
    queues.set(key, queue);
  }
  return queues.get(key);
}

const ownCalls = {
  add: async (queue, name, data, opts) => (await queue.add(name, data, opts)).id,
  addBulk: async (queue, items) => (await queue.addBulk(items)).map((job) => job.id),
  /* Adds and tells the moment at which Redis had it, in unix milliseconds. */
  addTimed: async (queue, name, data, opts) => {
    const id = (await queue.add(name, data, opts)).id;
    return { id, at: performance.timeOrigin + performance.now() };
  },
  item: async (queue, id) => described(await queue.getJob(id)),
  items: async (queue, states) => Promise.all((await queue.getJobs(states)).map(described)),
  onItem: async (queue, id, method, ...args) => {
    const result = await (await queue.getJob(id))[method](...args);
    return result === undefined ? null : result;
  },
  waitUntilFinished: async (queue, id, limitMs) => {
    const events = new bullmq.QueueEvents(queue.name, { prefix: queue.opts.prefix, connection: connection() });
    try {
      await events.waitUntilReady();
      return await (await queue.getJob(id)).waitUntilFinished(events, limitMs);
    } finally {
      await events.close();
    }
  },
  addFlow: async (queue, flow) => {
    const producer = new bullmq.FlowProducer({ prefix: queue.opts.prefix, connection: connection() });
    try {
      return (await producer.add(flow)).job.id;
    } finally {
      await producer.close();
    }
  },
  upsertJobScheduler: async (queue, ...args) => (await queue.upsertJobScheduler(...args)).id,
};

async function serveQueues(lines) {
  lines.on("line", async (line) => {
    const { id, queue: name, prefix, call, args } = JSON.parse(line);
    try {
      const queue = queueOf(name, prefix);
      const result = await (ownCalls[call] ? ownCalls[call](queue, ...args) : queue[call](...args));
      say({ id, result: result === undefined ? null : result });
    } catch (error) {
      say({ id, error: String(error.message || error) });
    }
  });
  lines.on("close", () => process.exit(0));
}

/* data says what to do with an item: {sleep: ms}, {fail: "reason"}, {return: value}; the worker's `hold` keeps all. */
async function work(job, hold) {
  say({ event: "started", id: job.id, name: job.name, at: Date.now() });
  if (hold) await new Promise(() => {});
  const wanted = Object(job.data);
  if (wanted.sleep) await new Promise((resolve) => setTimeout(resolve, wanted.sleep));
  if (wanted.fail) throw new Error(wanted.fail);
  return "return" in wanted ? wanted.return : null;
}

function runWorker(lines) {
  let worker;
  lines.on("line", async (line) => {
    if (worker) {
      await worker.close();
      say({ event: "closed" });
      process.exit(0);
    }
    const { queue, prefix, hold, options } = JSON.parse(line);
    worker = new bullmq.Worker(queue, (job) => work(job, hold), { prefix, connection: { ...connection(), maxRetriesPerRequest: null }, ...options });
    worker.on("error", (error) => console.error(String(error)));
    worker.on("completed", (job, result) => say({ event: "completed", id: job.id, result }));
    worker.on("failed", (job, error) => say({ event: "failed", id: job && job.id, reason: error.message }));
    await worker.waitUntilReady();
    say({ event: "ready" });
  });
  lines.on("close", () => process.exit(0));
}

const lines = readline.createInterface({ input: process.stdin });
if (role === "queues") serveQueues(lines);
else runWorker(lines);
