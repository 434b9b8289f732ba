/* Where Redis is, from the same variables that Bullherd gives to workers. */
import { readFileSync } from "node:fs";

export function redisConnection(env = process.env) {
  return {
    host: env.REDIS_HOST || "127.0.0.1",
    port: Number(env.REDIS_PORT || 6379),
    username: env.REDIS_USERNAME || undefined,
    password: env.REDIS_PASSWORD || undefined,
    db: Number(env.REDIS_DB || 0),
    tls:
      env.REDIS_TLS === "true"
        ? {
            ca: contents(env.REDIS_TLS_CA_FILE),
            cert: contents(env.REDIS_TLS_CERT_FILE),
            key: contents(env.REDIS_TLS_KEY_FILE),
          }
        : undefined,
  };
}

const contents = (file) => (file ? readFileSync(file) : undefined);
