"""What arrived, held against what the devices sent: lost, doubled, out of order."""

import base64
import collections
import itertools
import json
import re
import subprocess
import time

NUMBER, DEVICE = re.compile(r'"n":(\d+)'), re.compile(r'"d":"(\w+)"')
SERVERS = ("-X", "broker.address.family=v4", "-X", "log_level=0")


class Count:
    """One stream's figures. `run` is a contiguous piece of a partition that had been there before."""

    def __init__(self, name, sent, asserted):
        self.name, self.sent, self.asserted = name, sent, asserted
        self.arrived = self.lost = self.duplicates = self.runs = self.longest = self.repeated = self.disorder = 0
        self.examples = []

    def bad(self):
        return self.asserted and (self.lost > 0 or self.disorder > 0)


def records(kafka, topic):
    """Partition and text of every record; partition after partition in their order."""
    with subprocess.Popen(["kcat", "-b", kafka.servers, *SERVERS, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %s\\n"],
                          stdout=subprocess.PIPE) as reader:
        for line in reader.stdout:
            partition, _, text = line.decode("utf-8", "replace").partition(" ")
            yield int(partition), text


def ends(kafka, topics):
    """How many records there are in each topic."""
    found = {}
    for topic, partitions in topics.items():
        asked = itertools.chain.from_iterable(("-t", f"{topic}:{n}:-1") for n in range(partitions))
        done = subprocess.run(["kcat", "-b", kafka.servers, *SERVERS, "-Q", *asked], check=False, capture_output=True, text=True)
        found[topic] = sum(int(n) for n in re.findall(r"offset (\d+)", done.stdout))
    return found


def original(text):
    """The reading that an error action tells of."""
    try:
        return base64.b64decode(json.loads(text)["base64OriginalPayload"]).decode("utf-8", "replace")
    except (ValueError, KeyError):
        return ""


def dead_reading(text):
    """The reading that a dead letter holds: in its record, or in the message it was made from."""
    letter = json.loads(text)
    return letter.get("record", {}).get("payload") or json.dumps(letter.get("message", letter))


def count(kafka, stream, topics, dead=()):
    names = {device.name: device for device in stream.devices}
    result = Count(stream.name, sum(device.acknowledged for device in stream.devices), stream.end != "nowhere")
    if not result.asserted:
        return result
    seen = {name: collections.Counter() for name in names}
    highest, run_of = {}, {}
    for topic in topics or ["dead letters"]:
        for partition, text in records(kafka, topic) if topics else ((0, dead_reading(letter)) for letter in dead):
            if stream.end == "error":
                text = original(text)
            device, number = DEVICE.search(text), NUMBER.search(text)
            if not device or not number or device.group(1) not in names:
                continue
            name, n = device.group(1), int(number.group(1))
            place = (topic, partition)
            seen[name][n] += 1
            result.arrived += 1
            if seen[name][n] > 1:
                if seen[name][n] > 1 + names[name].repeated[n]:
                    result.duplicates += 1
                    run_of[place] = run_of.get(place, 0) + 1
                    result.runs += run_of[place] == 1
                    result.longest = max(result.longest, run_of[place])
                continue
            run_of[place] = 0
            if n < highest.get(name, 0) and stream.end == "topic":
                result.disorder += 1
                if len(result.examples) < 10:
                    result.examples.append(f"{name} {n} after {highest[name]} in {topic}[{partition}]")
            highest[name] = max(highest.get(name, 0), n)
    for name, device in names.items():
        missing = [n for n in range(stream.step, device.acknowledged + 1, stream.step) if n not in seen[name]]
        result.lost += len(missing)
        result.repeated += sum(device.repeated.values())
        if missing:
            result.examples.append(f"{name} lacks {len(missing)}: {missing[:5]} to {missing[-1]}")
    return result


def count_all(world):
    counts = []
    for stream in world.streams:
        topics = [stream.topic] if stream.topic else sorted(world.made, key=lambda name: int(name.rsplit('.', 1)[1]))
        dead = world.dead_letters() if stream.end == "dead" else ()
        counts.append(count(world.kafka, stream, [] if stream.end == "dead" else topics, dead))
    return counts


def wait_drained(world, quiet, say):
    """Until everything has arrived, or nothing more does for `quiet` seconds."""
    partitions = {world.main: 4, world.tenth: 2, world.guarded: 1, world.errors: 1, **{topic: 1 for topic in world.made}}
    wanted = {}
    for stream in world.streams:
        if stream.topic and stream.end != "dead":
            wanted[stream.topic] = wanted.get(stream.topic, 0) + sum(device.acknowledged // stream.step for device in stream.devices)
    wanted.update({topic: 1 for topic in world.made})
    last, since, told = None, time.monotonic(), 0.0
    while True:
        there = ends(world.kafka, partitions)
        enough = all(there[topic] >= number for topic, number in wanted.items())
        if enough and not any(count.bad() for count in count_all(world)):
            return
        now = time.monotonic()
        if there != last:
            last, since = there, now
        if now - since > quiet:
            return
        if now - told > 15:
            told = now
            say(f"draining: {sum(there.values())} records in Kafka")
        time.sleep(3 if enough else 0.5)


def table(rows):
    """Columns as wide as they need; the first to the left."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))) for row in rows)


def of(counts):
    rows = [("stream", "sent", "arrived", "lost", "duplicates", "runs", "longest", "out of order", "repeated by devices")]
    for one in counts:
        rest = (one.lost, one.duplicates, one.runs, one.longest, one.disorder, one.repeated)
        rows.append((one.name, one.sent, one.arrived if one.asserted else "-", *(rest if one.asserted else "------")))
    return table(rows)
