"""The house rules a formatter cannot know. Called by scripts/lint in the root of the repository.

A line that has to break a rule says so, with the reason, on itself or on the line above:
    // lint:allow(RULE) because ...
"""

import pathlib
import re
import subprocess
import sys

FILE_LENGTH_WARN, FILE_LENGTH_FAIL = 400, 450

# name, pattern, what to do instead, where it holds
LIBRARIES = re.compile(r"^Packages/[^/]+/Sources/")
SOURCES = re.compile(r"^(Packages/[^/]+|Examples)/Sources/")
SWIFT = re.compile(r"^(Packages|Examples)/|^Package\.swift$")
RULES = [
    ("foundation", re.compile(r"^\s*(?:@\w+\s+)*(?:public |package |internal |private |fileprivate )?import Foundation"),
     "no Foundation in library targets", LIBRARIES),
    ("try", re.compile(r"\btry!"), "no try! in sources: throw", SOURCES),
    ("fatal", re.compile(r"\bfatalError\("),
     "no fatalError in sources: throw a typed error", SOURCES),
    ("sleep", re.compile(r"\bTask\.sleep\b|\busleep\(|\bnanosleep\("),
     "no sleeping as synchronisation: await what happens", SWIFT),
    ("unsafe", re.compile(r"\bnonisolated\(unsafe\)"), "no nonisolated(unsafe)", SWIFT),
    ("todo", re.compile(r"\b(?:TODO|FIXME|XXX)\b"), "no notes to self: open an issue or do it", SWIFT),
]
PROTOBUF = re.compile(r"^(?:\w+ )?import SwiftProtobuf\b")
PRECONDITION = re.compile(r"\bpreconditionFailure\(")
UNCHECKED = re.compile(r"@unchecked\s+Sendable")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|opt/swift|tmp/bash)/")
# Test vectors and fuzzing corpora are data: an address may well name such a path.
DATA = re.compile(r"/(?:Vectors|Corpus|corpus)/")
COMMENT = re.compile(r"^\s*//")
ALLOW = re.compile(r"lint:allow\((\w+)\)\s*\S+")


def tracked():
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    )
    return [name for name in listing.stdout.decode().split("\0") if name and pathlib.Path(name).is_file()]


def allowed(rule, lines, index):
    near = lines[index] + (lines[index - 1] if index else "")
    return any(match.group(1) == rule for match in ALLOW.finditer(near))


def check_swift(name, lines, report):
    generated = name.endswith(".pb.swift")
    if not generated and len(lines) > FILE_LENGTH_WARN:
        report(name, len(lines), "length", f"{len(lines)} lines: split it, one concept a file",
               fatal=len(lines) > FILE_LENGTH_FAIL and SOURCES.match(name) is not None)
    if generated:
        return
    # The bytes fields of generated messages are Foundation's Data: there is no way round it.
    protobuf = any(PROTOBUF.match(line) for line in lines)
    for index, line in enumerate(lines):
        code = "" if COMMENT.match(line) else line
        for rule, pattern, advice, where in RULES:
            text = line if rule == "todo" else code
            if rule == "foundation" and protobuf:
                continue
            if where.match(name) and pattern.search(text) and not allowed(rule, lines, index):
                report(name, index + 1, rule, advice)
        near = lines[max(0, index - 8):index]
        if SOURCES.match(name) and PRECONDITION.search(code) and not any(COMMENT.match(each) for each in near):
            report(name, index + 1, "precondition", "say in a comment why no input can get here, or throw")
        if UNCHECKED.search(code):
            above = index - 1
            while above >= 0 and lines[above].lstrip().startswith("@"):
                above -= 1
            if above < 0 or not COMMENT.match(lines[above]):
                report(name, index + 1, "unchecked", "@unchecked Sendable needs a comment above that proves it")


def main():
    failures = warnings = files = 0

    def report(name, line, rule, text, fatal=True):
        nonlocal failures, warnings
        print(f"{name}:{line}: {'error' if fatal else 'warning'}: {text} [{rule}]", file=sys.stderr)
        failures, warnings = failures + fatal, warnings + (not fatal)

    for name in tracked():
        try:
            text = pathlib.Path(name).read_text()
        except UnicodeDecodeError:
            continue
        files += 1
        lines = text.splitlines()
        if name.endswith(".swift"):
            check_swift(name, lines, report)
        for index, line in enumerate(lines):
            if MACHINE_PATHS.search(line) and not DATA.search(name) and not allowed("path", lines, index):
                report(name, index + 1, "path", "a path of one machine")
    print(f"lint: house rules: {files} files, {failures} errors, {warnings} warnings", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
