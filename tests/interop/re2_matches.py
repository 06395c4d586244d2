"""Matches texts with RE2: reads {"patterns": [...], "texts": [...]} and prints for each pattern null, if RE2 refuses it, or one
character for each text: 1 if the whole text matches, else 0."""

import json
import sys

import re2


def row(pattern, texts, options):
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return None
    return "".join("1" if compiled.fullmatch(text) else "0" for text in texts)


def main():
    options = re2.Options()
    options.log_errors = False
    asked = json.load(sys.stdin)
    json.dump([row(pattern, asked["texts"], options) for pattern in asked["patterns"]], sys.stdout)


main()
