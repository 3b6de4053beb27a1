#!/usr/bin/env python3
"""number_oracle.py CALCULATOR [--count N] [--seed S]: hold our decimals against Python's, digit by digit.

Generates N operations of every kind, with operands chosen where arithmetic goes wrong (ties, carries, 19 and 34 digits,
the ends of the range, far apart, nearly equal), computes each with Python's `decimal` (34 digits, half even, and integers
of any length for the rest), and compares texts: value, trailing zeros and notation. Exit status 0: all equal.
"""

import argparse
import decimal
import random
import re
import struct
import subprocess
import sys
from decimal import Decimal

DIGITS, LEAST, MOST = 34, -999, 999
CONTEXT = decimal.Context(prec=DIGITS, rounding=decimal.ROUND_HALF_EVEN, Emin=-999999, Emax=999999, traps=[])
EXACT = decimal.Context(prec=20000, Emin=-999999, Emax=999999, traps=[decimal.Inexact])


def parts(number):
    sign, digits, exponent = number.as_tuple()
    return sign, int("".join(map(str, digits))), exponent


def made(sign, coefficient, exponent):
    return Decimal((sign, tuple(map(int, str(coefficient))), exponent))


def hold(number):
    """Our range and our zero: None beyond the range, zero below it, no minus zero, bounded places of zero."""
    sign, coefficient, exponent = parts(number)
    if coefficient == 0:
        return made(0, 0, max(-DIGITS, min(0, exponent)))
    if number.adjusted() > MOST:
        return None
    if number.adjusted() < LEAST:
        return Decimal(0)
    return number


def read(text):
    """A text of any length; exponents beyond what Python takes are brought near first, which changes nothing."""
    mantissa, _, power = text.lower().partition("e")
    power = int(power or 0)
    if abs(power) > 300000:
        if not int(mantissa.replace("-", "").replace(".", "")):
            return hold(Decimal(0).scaleb(0 if power > 0 else -DIGITS))
        power = 300000 if power > 0 else -300000
    return hold(CONTEXT.create_decimal(f"{mantissa}e{power}"))


def reduced(number):
    sign, coefficient, exponent = parts(number)
    if coefficient == 0:
        return Decimal(0)
    if exponent > 0 and len(str(coefficient)) + exponent <= DIGITS:
        return made(sign, coefficient * 10**exponent, 0)
    while coefficient % 10 == 0 and exponent != 0:
        coefficient //= 10
        exponent += 1
    return made(sign, coefficient, exponent)


def printed(number):
    if number is None:
        return "none"
    sign, coefficient, exponent = parts(number)
    digits = str(coefficient)
    leading = exponent + len(digits) - 1
    if exponent >= 0 and leading < DIGITS:
        text = digits + "0" * exponent
    elif exponent < 0 and leading >= 0:
        text = digits[: leading + 1] + "." + digits[leading + 1 :]
    elif exponent < 0 and leading >= -6:
        text = "0." + "0" * (-leading - 1) + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + "E" + str(leading)
    return ("-" if sign else "") + text


def divided(a, b):
    if not b:
        return None
    quotient = hold(CONTEXT.divide(a, b))
    return quotient if quotient is None else reduced(quotient)


def remainder(a, b):
    if not b:
        return None
    sign, x, exponent_a = parts(a)
    _, y, exponent_b = parts(b)
    exponent = min(exponent_a, exponent_b)
    return hold(made(sign, x * 10 ** (exponent_a - exponent) % (y * 10 ** (exponent_b - exponent)), exponent))


ROUNDINGS = [decimal.ROUND_FLOOR, decimal.ROUND_CEILING, decimal.ROUND_DOWN, decimal.ROUND_HALF_UP]


def rounded(number, how, places):
    if -number.as_tuple().exponent <= places:
        return number
    result = EXACT.copy()
    result.traps[decimal.Inexact] = False
    return hold(number.quantize(Decimal(1).scaleb(-places), ROUNDINGS[how], result))


def to_double(number):
    return "%016x" % struct.unpack("<Q", struct.pack("<d", float(str(number))))[0]


def from_double(bits):
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    if value != value or value in (float("inf"), float("-inf")):
        return None
    number = reduced(Decimal(repr(value)))
    sign, coefficient, exponent = parts(number)
    if exponent == 0 and coefficient < 10 ** (DIGITS - 1):
        return hold(made(sign, coefficient * 10, -1))
    return hold(number)


def int64(number):
    low, high = -(2**63), 2**63 - 1
    floor = int(number.to_integral_value(decimal.ROUND_FLOOR, EXACT)) if number.adjusted() < 40 else (
        low if number < 0 else high)
    exact = number == floor and low < number <= high  # our int64 stops one short of the lowest
    return f"{max(low, min(high, floor))} {floor if exact else 'none'}"


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def digits(self, most=DIGITS):
        r = self.random
        count = r.choice([r.randint(1, most), r.randint(1, 6), min(most, r.choice([17, 18, 19, 20, 33, 34]))])
        kind = r.random()
        if kind < 0.55:
            text = "".join(r.choice("0123456789") for _ in range(count))
        elif kind < 0.65:
            text = "9" * count
        elif kind < 0.75:
            text = "1" + "0" * (count - 1)
        elif kind < 0.85:
            text = r.choice(["1", "5", "49", "51", "25"]) + r.choice("059") * count
            text = text[:count]
        elif kind < 0.92:
            text = str(r.choice([2**31, 2**32, 2**53, 2**63, 2**64, 2**112, 10**19, 10**17]) + r.randint(-2, 2))[:most]
        else:
            head = r.randint(1, count)
            text = "".join(r.choice("0123456789") for _ in range(head)) + "0" * (count - head)
        return text

    def exponent(self):
        r = self.random
        return r.choice([0, 0, r.randint(-6, 3), r.randint(-40, 40), r.randint(-70, 70), r.randint(-1032, 999),
                         r.choice([-1033, -1032, -1000, -999, 966, 967, 998, 999, 1000])])

    def number(self):
        text = ("-" if self.random.random() < 0.4 else "") + self.digits()
        exponent = self.exponent()
        if exponent or self.random.random() < 0.2:
            text += f"E{exponent}"
        return text if read(text) is not None else text.partition("E")[0]

    def pair(self):
        """Two operands; often ones that meet where it hurts."""
        r = self.random
        a = self.number()
        kind = r.random()
        if kind < 0.5:
            return a, self.number()
        sign, coefficient, exponent = parts(read(a))
        if kind < 0.6:  # nearly equal
            b = made(r.randint(0, 1), max(0, coefficient + r.randint(-3, 3)) % 10**DIGITS, exponent)
        elif kind < 0.85:  # at a chosen distance
            b = made(r.randint(0, 1), int(self.digits()), exponent + r.randint(-75, 75))
        elif kind < 0.95:  # a half of the last digit, or next to it
            b = made(r.randint(0, 1), int("5" + r.choice(["", "0", "1", "00001", "0" * 30 + "1"])), exponent - r.randint(1, 40))
        else:
            b = made(1 - sign, coefficient, exponent)
        text = f"{'-' if b.as_tuple().sign else ''}{parts(b)[1]}E{parts(b)[2]}"
        return (a, text) if read(text) is not None else (a, "1")

    def long_text(self):
        r = self.random
        text = ("-" if r.random() < 0.3 else "") + (self.digits() if r.random() < 0.5 else self.digits(90))
        if r.random() < 0.6:
            text += "." + r.choice(["", "0" * r.randint(0, 60)]) + self.digits(r.choice([10, 60]))
        if r.random() < 0.5:
            text += r.choice("eE") + str(r.choice([r.randint(-40, 40), self.exponent(), 10 ** r.randint(3, 30)]))
        return text

    def double(self):
        r = self.random
        kind = r.random()
        if kind < 0.3:
            return r.getrandbits(64)
        if kind < 0.4:  # powers of two and their neighbours
            value = (r.randint(1, 2046) << 52) + r.randint(-1, 1)
        elif kind < 0.5:  # subnormal
            value = r.getrandbits(r.randint(1, 52))
        elif kind < 0.8:
            value = struct.unpack("<Q", struct.pack("<d", round(r.uniform(-1e6, 1e6), r.randint(0, 12))))[0]
        elif kind < 0.9:
            value = struct.unpack("<Q", struct.pack("<d", float(r.getrandbits(r.randint(1, 110)))))[0]
        else:
            value = struct.unpack("<Q", struct.pack("<d", float(f"{r.randint(1, 9999)}e{r.randint(-320, 304)}")))[0]
        return value

    def operation(self):
        r = self.random
        name = r.choice(["add", "subtract", "multiply", "divide", "remainder", "compare"] * 2 +
                        ["round", "json", "string", "reduce", "int64", "whole", "to_double", "from_double"])
        if name in ("add", "subtract", "multiply", "divide", "remainder", "compare"):
            a, b = self.pair()
            x, y = read(a), read(b)
            want = {
                "add": lambda: printed(hold(CONTEXT.add(x, y))),
                "subtract": lambda: printed(hold(CONTEXT.subtract(x, y))),
                "multiply": lambda: printed(hold(CONTEXT.multiply(x, y))),
                "divide": lambda: printed(divided(x, y)),
                "remainder": lambda: printed(remainder(x, y)),
                "compare": lambda: str((x > y) - (x < y)),
            }[name]()
            return f"{name} {a} {b}", want
        if name == "round":
            a, how, places = self.number(), r.randint(0, 3), r.choice([0, 0, r.randint(0, 34)])
            return f"round {how} {places} {a}", printed(rounded(read(a), how, places))
        if name == "json":
            text = self.long_text()
            if r.random() < 0.2 and "e-" not in text.lower():
                text = text.replace("e", "e+").replace("E", "E+")
            return f"json {text}", printed(read(text))
        if name == "string":
            text = self.long_text()
            if r.random() < 0.2:
                at = r.randint(0, len(text))
                broken = text[:at] + r.choice("+.-eE x_'") + text[at:]
                if " " not in broken:
                    text = broken
                    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?", text):
                        return f"string {text}", "none"
            return f"string {text}", printed(read(text))
        if name == "from_double":
            bits = self.double()
            return f"from_double {bits:016x}", printed(from_double(bits))
        a = self.number()
        x = read(a)
        return f"{name} {a}", {
            "reduce": lambda: printed(reduced(x)),
            "int64": lambda: int64(x),
            "whole": lambda: str(int(not x or x.as_tuple().exponent >= 0 or reduced(x).as_tuple().exponent >= 0)),
            "to_double": lambda: to_double(x),
        }[name]()


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("calculator")
    options.add_argument("--count", type=int, default=150000)
    options.add_argument("--seed", type=int, default=34)
    options = options.parse_args()

    generator = Generator(options.seed)
    cases = [generator.operation() for _ in range(options.count)]
    answers = subprocess.run([options.calculator], input="".join(f"{line}\n" for line, _ in cases), text=True,
                             stdout=subprocess.PIPE, check=True).stdout.splitlines()
    wrong = [(line, want, got) for (line, want), got in zip(cases, answers) if want != got]
    for line, want, got in wrong[:20]:
        print(f"{line}\n  want {want}\n  got  {got}")
    kinds = {}
    for line, _ in cases:
        kinds[line.split()[0]] = kinds.get(line.split()[0], 0) + 1
    print(", ".join(f"{count} {name}" for name, count in sorted(kinds.items())))
    print(f"{len(cases) - len(wrong)} of {len(cases)} equal (seed {options.seed})")
    return 1 if wrong or len(answers) != len(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
