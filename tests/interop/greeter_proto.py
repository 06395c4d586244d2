"""The greeter's messages and stubs, compiled from examples/proto/greeter.proto when a program starts."""

import pathlib
import sys

import grpc

_PROTO = pathlib.Path(__file__).resolve().parents[2] / "examples" / "proto"
sys.path.insert(0, str(_PROTO))
messages, services = grpc.protos_and_services("greeter.proto")
