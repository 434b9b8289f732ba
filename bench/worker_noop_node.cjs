/*
 * Works a queue with bullmq's own Worker for bench/worker_throughput.py, or fills it:
 *   node worker_noop_node.cjs FOLDER fill  QUEUE COUNT    adds COUNT items, FOLDER has the node_modules
 *   node worker_noop_node.cjs FOLDER work  QUEUE CONCURRENCY
 * Prints {"ready": true} when it works; ends with its stdin.
 */
"use strict";
const path = require("node:path");
const { createRequire } = require("node:module");

const [folder, role, queue, count] = process.argv.slice(2);
const { Queue, Worker } = createRequire(path.resolve(folder, "package.json"))("bullmq");
const connection = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };

async function fill() {
  const target = new Queue(queue, { connection });
  for (let left = Number(count); left > 0; left -= 500) {
    const size = Math.min(left, 500);
    await target.addBulk(Array.from({ length: size }, (_, n) => ({ name: "noop", data: { n } })));
  }
  process.exit(0);
}

function work() {
  const worker = new Worker(queue, async () => null, { connection, concurrency: Number(count) });
  worker.waitUntilReady().then(() => console.log(JSON.stringify({ ready: true })));
  process.stdin.on("end", () => process.exit(0)).resume();
}

if (role === "fill") fill();
else work();
