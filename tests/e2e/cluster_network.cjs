/*
 * What a pod's network would do, for a Node process outside: the address in CLUSTER_ADDRESS (host:port of a Service) is
 * reached at CLUSTER_DOOR (a port here). Loaded before the program with `node --require`; the program does not know.
 */
"use strict";
const net = require("node:net");

const [host, port] = process.env.CLUSTER_ADDRESS.split(":");
const door = Number(process.env.CLUSTER_DOOR);
const connect = net.Socket.prototype.connect;

/* net.connect hands its arguments on in one array: the options are its first. */
net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options.host === host && Number(options.port) === Number(port)) {
    Object.assign(options, { host: "127.0.0.1", port: door });
  }
  return connect.apply(this, args);
};
