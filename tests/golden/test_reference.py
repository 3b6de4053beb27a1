#!/usr/bin/python3
"""Every example in docs/sql.md is true, and every function has one.

The examples stand in blocks that are fenced as ```eval. A line there is one of

    expression -> JSON            what `SELECT VALUE expression` gives; Undefined, where it gives nothing
    SELECT ... -> JSON            the outgoing payload of a whole statement (also SET ...); `no match`
    `template` -> text            what a substitution template becomes
    anything of these -> refused: text      the rule is not loaded; the text is a part of the error
    payload JSON, text ..., topic ..., version ..., now ..., client ..., property KEY=VALUE, content_type ...,
    secret ID=JSON                the message of the examples that follow in this block
    (an empty line, or one that begins with two blanks and continues the line before)

`topicrule test` and `topicrule eval` are asked; $TOPICRULE names the program."""

import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("TOPICRULE", os.path.join(ROOT, "build/dev/topicrule"))
REFERENCE = os.path.join(ROOT, "docs/sql.md")
FIRST = {"topic": "plant/7/temp", "sqlVersion": "2016-03-23", "payloadText": "{}"}


def blocks(text):
    """(number of its first line, lines) of every block; continued lines are one."""
    inside, lines = False, []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("```"):
            if inside and line == "```":
                yield lines
            inside, lines = line == "```eval", []
        elif inside and line.startswith("  ") and lines:
            lines[-1] = (lines[-1][0], lines[-1][1] + "\n" + line.strip())
        elif inside and line.strip():
            lines.append((number, line.rstrip()))


def directive(message, word, rest):
    if word == "payload":
        message["payloadText"] = rest
        message.pop("payloadBase64", None)
    elif word == "bytes":
        message["payloadBase64"] = rest
        message.pop("payloadText", None)
    elif word == "topic":
        message["topic"] = rest
    elif word == "version":
        message["sqlVersion"] = rest
    elif word == "client":
        message["clientId"] = rest
    elif word == "now":
        message["now"] = int(rest)
    elif word == "content_type":
        message["contentType"] = rest
    elif word == "property":
        message.setdefault("userProperties", []).append(rest.split("=", 1))
    elif word == "secret":
        key, value = rest.split("=", 1)
        message.setdefault("secrets", {})[key] = json.loads(value)
    else:
        return False
    return True


def case_of(message, number, given, want):
    case = dict(message, id=f"line {number}")
    template = re.fullmatch(r"`(.*)`", given, re.S)
    statement = re.match(r"(SELECT|SET)\s", given)
    if template:
        case["template"] = template.group(1)
    else:
        case["sql"] = given if statement else f"SELECT VALUE {given} FROM '#'"
    if want.startswith("refused: "):
        case["error"] = True
    elif want == "no match":
        case["noMatch"] = True
    elif template:
        case["expectString"] = "" if want == "(empty)" else want
    else:
        case["expectText"] = "" if want == "Undefined" else want
    return case


def main():
    cases, refused, problems, shown = [], [], [], ""
    with open(REFERENCE, encoding="utf-8") as file:
        text = file.read()
    for lines in blocks(text):
        message = json.loads(json.dumps(FIRST))
        for number, line in lines:
            word, _, rest = line.partition(" ")
            if " -> " not in line:
                if not directive(message, word, rest.strip()):
                    problems.append(f"docs/sql.md:{number}: no example, and no message: {line}")
                continue
            given, want = (part.strip() for part in line.rsplit(" -> ", 1))
            case = case_of(message, number, given, want)
            cases.append(case)
            shown += " " + given.lower()
            if want.startswith("refused: "):
                refused.append((number, case, want[len("refused: "):]))

    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for case in cases:
            file.write(json.dumps(case, ensure_ascii=False) + "\n")
        file.flush()
        run = subprocess.run([PROGRAM, "test", file.name], capture_output=True, text=True, check=False)
        for line in run.stdout.split("\n"):
            if line.startswith("FAIL"):
                problems.append("docs/sql.md: " + line.split(" ", 2)[2])
            elif line.startswith("  "):
                problems.append(line)
        if run.returncode != 0 and not problems:
            problems.append(run.stdout + run.stderr)

    for number, case, want in refused:
        if "sql" not in case:
            continue
        run = subprocess.run([PROGRAM, "eval", "--topic", "t", "--sql-version", case["sqlVersion"], "--sql", case["sql"]],
                             capture_output=True, text=True, check=False)
        if want not in run.stderr:
            problems.append(f"docs/sql.md: line {number}: want {want!r} in the error\n  got {run.stderr.strip()}")

    functions = subprocess.run([PROGRAM, "functions"], capture_output=True, text=True, check=True).stdout
    for row in functions.splitlines():
        name = row.split("\t")[0]
        if not re.search(rf"\b{name}\s*\(", shown):
            problems.append(f"docs/sql.md: {name}() has no example")

    for problem in problems:
        print(problem)
    print(f"{len(cases)} examples, {sum(not p.startswith('  ') for p in problems)} problems")
    return 1 if problems or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
