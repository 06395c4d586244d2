'use strict';

// A client of mesh.examples.v1.Greeter on stock gRPC for Node, for xds:/// and any other target.
//
// `node greeter_client.js TARGET` prints {"ready": true} and then answers each line of JSON on its standard input with one
// on its standard output, on one channel, until its input is closed. The orders are those of ../greeter_client.py.

const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const xds = require('@grpc/grpc-js-xds');
const { Load, burst } = require('./calls');
const { dump } = require('./csds');
const { Greeter } = require('./greeter_proto');

/** Follows orders on one channel. */
class Session {
  #client;
  #load;

  constructor(client) {
    this.#client = client;
  }

  async follow(order) {
    switch (order.do) {
      case 'call':
        return burst(this.#client, order);
      case 'start':
        this.#load = new Load(this.#client, order);
        return { started: true };
      case 'report':
        return this.#load.report();
      case 'stop':
        return this.#load.stop();
      case 'csds':
        return { csds: dump() };
      default:
        throw new Error(`cannot follow ${JSON.stringify(order)}`);
    }
  }
}

async function main([target]) {
  if (!target) {
    throw new Error('usage: node greeter_client.js TARGET, for example xds:///greeter');
  }
  xds.register();
  const session = new Session(new Greeter(target, grpc.credentials.createInsecure()));
  const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
  say({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      say(await session.follow(JSON.parse(line)));
    } catch (error) {
      // The one who gives orders must hear of it, whatever it is.
      say({ problem: String(error) });
    }
  }
  // An xDS client keeps its process alive.
  process.exit();
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
