"""Misbehaviour on request: the metadata `rpc-behavior`, as gRPC's interoperability servers understand it."""

import time

import grpc

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def apply(context, name):
    """Does what the call asks for: sleep-N[ms], error-code-N, succeed-on-retry-attempt-N, hostname=NAME, keep-open."""
    metadata = context.invocation_metadata()
    attempt = max((int(value) for key, value in metadata if key == "grpc-previous-rpc-attempts"), default=0)
    code = None
    for key, values in metadata:
        if key == "rpc-behavior":
            code = _apply_values(values.split(","), name, attempt, context, code)
    if code is not None:
        context.abort(_CODES[code], "as rpc-behavior asked")


def _apply_values(values, name, attempt, context, code):
    for value in (value.strip() for value in values):
        kind, _, argument = value.rpartition("-")
        if value.startswith("hostname="):
            if value != f"hostname={name}":
                break
        elif value == "keep-open":
            while context.is_active():
                time.sleep(0.05)
        elif kind == "error-code":
            code = int(argument)
        elif kind == "succeed-on-retry-attempt":
            code = None if attempt >= int(argument) else code
        elif kind == "sleep":
            seconds = float(argument[:-2]) / 1000 if argument.endswith("ms") else float(argument)
            time.sleep(seconds)
        else:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"rpc-behavior {value!r} is not understood")
    return code
