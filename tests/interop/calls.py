"""Calls to the greeter, and what came of them."""

import collections
import threading
import time
from concurrent import futures

import grpc

from greeter_proto import messages, services

_KEPT_ERRORS = 5


class Tally:
    """Counts outcomes; safe to share between threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._codes = collections.Counter()
        self._endpoints = collections.Counter()
        self._versions = collections.Counter()
        self._errors = []
        self._latencies = []

    def succeeded(self, reply, seconds):
        with self._lock:
            self._codes["OK"] += 1
            self._endpoints[reply.endpoint] += 1
            self._versions[reply.version] += 1
            self._latencies.append(seconds)

    def failed(self, error, seconds):
        with self._lock:
            self._codes[error.code().name] += 1
            self._latencies.append(seconds)
            if len(self._errors) < _KEPT_ERRORS:
                self._errors.append(f"{error.code().name}: {error.details()}")

    def report(self):
        with self._lock:
            latencies = sorted(self._latencies)

            def at(share):
                return round(latencies[min(int(len(latencies) * share), len(latencies) - 1)] * 1000, 3)

            return {
                "calls": sum(self._codes.values()),
                "codes": dict(self._codes),
                "endpoints": dict(self._endpoints),
                "versions": dict(self._versions),
                "errors": list(self._errors),
                "latency_ms": {"p50": at(0.5), "p99": at(0.99), "max": at(1)} if latencies else {},
            }


class Caller:
    """Makes calls of one kind on one channel."""

    def __init__(self, channel, order):
        self._stub = services.GreeterStub(channel)
        self._method = order.get("method", "SayHello")
        self._metadata = [tuple(pair) for pair in order.get("metadata", [])]
        self._timeout = order.get("timeout", 10)
        self._wait_for_ready = order.get("wait_for_ready", False)
        self.tally = Tally()

    def one(self, *_):
        began = time.monotonic()
        try:
            reply = self._call()
        except grpc.RpcError as error:
            self.tally.failed(error, time.monotonic() - began)
        else:
            self.tally.succeeded(reply, time.monotonic() - began)

    def _call(self):
        request = messages.HelloRequest(name="python", count=1)
        if self._method in ("GatherHellos", "Chat"):
            request = iter([request])
        method = getattr(self._stub, self._method)
        answer = method(
            request, timeout=self._timeout, metadata=self._metadata, wait_for_ready=self._wait_for_ready
        )
        return list(answer)[-1] if self._method in ("SayHellos", "Chat") else answer


def burst(channel, order):
    """Makes `calls` calls, `concurrency` at a time, and reports."""
    caller = Caller(channel, order)
    with futures.ThreadPoolExecutor(max_workers=order.get("concurrency", 1)) as pool:
        list(pool.map(caller.one, range(order.get("calls", 1))))
    return caller.tally.report()


class Load:
    """Makes `qps` calls a second until stopped."""

    def __init__(self, channel, order):
        self._caller = Caller(channel, order)
        self._interval = 1 / order.get("qps", 50)
        self._stopped = threading.Event()
        self._pool = futures.ThreadPoolExecutor(max_workers=64)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        due = time.monotonic()
        while not self._stopped.wait(max(0, due - time.monotonic())):
            self._pool.submit(self._caller.one)
            due += self._interval

    def report(self):
        return self._caller.tally.report()

    def stop(self):
        self._stopped.set()
        self._thread.join()
        self._pool.shutdown(wait=True)
        return self.report()
