'use strict';

// The greeter's client, made from examples/proto/greeter.proto when a program starts.

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const PROTO = path.resolve(__dirname, '../../../examples/proto/greeter.proto');

exports.Greeter = grpc.loadPackageDefinition(loadSync(PROTO)).mesh.examples.v1.Greeter;
