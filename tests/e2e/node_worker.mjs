/*
 * An ordinary BullMQ worker of a Node app, as it is written where nobody has heard of Bullherd: everything it knows is in
 * the usual variables. node_worker.Dockerfile makes the image of it.
 */
import { createRequire } from "node:module";
import path from "node:path";

/* Only this line is the test's: which of its bullmq versions to take. */
const { Worker } = createRequire(path.join(process.argv[2], "package.json"))("bullmq");

const { REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB, REDIS_TLS } = process.env;
const { QUEUE_NAME, QUEUE_PREFIX, QUEUE_CONCURRENCY, WORKER_NAME } = process.env;

async function greet(job) {
  for (const line of job.data.log ?? []) await job.log(line);
  await new Promise((resolve) => setTimeout(resolve, 1000 * (job.data.sleep ?? 0)));
  return { greeting: `hello, ${job.data.name}` };
}

const worker = new Worker(QUEUE_NAME, greet, {
  name: WORKER_NAME,
  prefix: QUEUE_PREFIX,
  concurrency: Number(QUEUE_CONCURRENCY),
  connection: {
    host: REDIS_HOST,
    port: Number(REDIS_PORT),
    username: REDIS_USERNAME,
    password: REDIS_PASSWORD,
    db: Number(REDIS_DB),
    tls: REDIS_TLS === "true" ? {} : undefined,
    maxRetriesPerRequest: null,
  },
});
worker.on("error", (error) => console.error(error));

process.on("SIGTERM", async () => {
  await worker.close();
  process.exit(0);
});
