'use strict';

// Calls to the greeter, and what came of them.

const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');

const KEPT_ERRORS = 5;

/** Counts outcomes. */
class Tally {
  #codes = {};
  #endpoints = {};
  #versions = {};
  #errors = [];
  #latencies = [];

  succeeded(reply, milliseconds) {
    count(this.#codes, 'OK');
    count(this.#endpoints, reply.endpoint);
    count(this.#versions, reply.version);
    this.#latencies.push(milliseconds);
  }

  failed(error, milliseconds) {
    const code = grpc.status[error.code] ?? 'UNKNOWN';
    count(this.#codes, code);
    this.#latencies.push(milliseconds);
    if (this.#errors.length < KEPT_ERRORS) {
      this.#errors.push(`${code}: ${error.details ?? error}`);
    }
  }

  report() {
    const latencies = [...this.#latencies].sort((one, other) => one - other);
    const at = (share) => latencies[Math.min(Math.floor(latencies.length * share), latencies.length - 1)];
    return {
      calls: latencies.length,
      codes: this.#codes,
      endpoints: this.#endpoints,
      versions: this.#versions,
      errors: this.#errors,
      latency_ms: latencies.length > 0 ? { p50: at(0.5), p99: at(0.99), max: at(1) } : {},
    };
  }
}

function count(counts, key) {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** Makes calls of one kind with one client. */
class Caller {
  tally = new Tally();
  #client;
  #order;

  constructor(client, order) {
    this.#client = client;
    this.#order = { method: 'SayHello', metadata: [], timeout: 10, wait_for_ready: false, ...order };
  }

  async one() {
    const began = performance.now();
    try {
      const reply = await this.#call();
      this.tally.succeeded(reply, performance.now() - began);
    } catch (error) {
      this.tally.failed(error, performance.now() - began);
    }
  }

  /** The last reply. */
  #call() {
    const { method, metadata: pairs, timeout, wait_for_ready: waitForReady } = this.#order;
    const metadata = new grpc.Metadata({ waitForReady });
    for (const [key, value] of pairs) {
      metadata.add(key, value);
    }
    const options = { deadline: Date.now() + timeout * 1000 };
    const request = { name: 'node', count: 1 };
    const { requestStream, responseStream } = this.#client[method];
    return new Promise((resolve, reject) => {
      const done = (error, reply) => (error ? reject(error) : resolve(reply));
      const first = requestStream ? [] : [request];
      const last = responseStream ? [] : [done];
      const call = this.#client[method](...first, metadata, options, ...last);
      if (responseStream) {
        let reply;
        call.on('data', (message) => (reply = message));
        call.on('error', reject);
        call.on('end', () => reply && resolve(reply));
      }
      if (requestStream) {
        call.write(request);
        call.end();
      }
    });
  }
}

/** Makes `calls` calls, `concurrency` at a time, and reports. */
async function burst(client, order) {
  const caller = new Caller(client, order);
  let left = order.calls ?? 1;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await caller.one();
    }
  };
  const workers = [];
  for (let number = 0; number < (order.concurrency ?? 1); number += 1) {
    workers.push(worker());
    // This gRPC counts a call against a limit a moment after it has let it pass.
    await sleep(5);
  }
  await Promise.all(workers);
  return caller.tally.report();
}

/** Makes `qps` calls a second until stopped. */
class Load {
  #caller;
  #running = new Set();
  #due = performance.now();
  #timer;

  constructor(client, order) {
    this.#caller = new Caller(client, order);
    this.#tick(1000 / (order.qps ?? 50));
  }

  #tick(interval) {
    // Timers come late, never early: what is overdue is made up for.
    for (; this.#due <= performance.now(); this.#due += interval) {
      const call = this.#caller.one().finally(() => this.#running.delete(call));
      this.#running.add(call);
    }
    this.#timer = setTimeout(() => this.#tick(interval), this.#due - performance.now());
  }

  report() {
    return this.#caller.tally.report();
  }

  async stop() {
    clearTimeout(this.#timer);
    await Promise.all(this.#running);
    return this.report();
  }
}

module.exports = { Load, burst };
