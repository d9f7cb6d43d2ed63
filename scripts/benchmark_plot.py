#!/usr/bin/env python3
"""Draws what `make bench` has printed: how many times the bare relay's time each took.

    make bench > bench.txt
    scripts/benchmark_plot.py bench.txt docs/images/benchmarks.svg

Every figure of the picture stands in the table; this only puts them beside each other. The axis is logarithmic, since a
factor of two is the same distance wherever it stands.
"""

import html
import math
import re
import sys

LEFT, RIGHT, TOP, ROW, BAR = 370, 60, 76, 46, 15
WIDTH = 900
LEAST, MOST = 0.5, 32.0
OURS, THEIRS, GRID, TEXT, DIM = "#2f6fdd", "#a9b2bf", "#dfe3e8", "#1d2733", "#5d6875"


def rows(table):
    """The name of a row, with the times of mailhaul and of mbsync."""
    found, name, factors, relay = [], None, {}, None
    for line in table.splitlines():
        if line and not line.startswith(" "):
            match = re.match(r"(.+?): (?:bare relay|relays)\b.*?\s{2,}([\d.]+) s", line)
            name, relay = (match.group(1), float(match.group(2))) if match else (None, None)
            factors = {}
        match = re.match(r"  (times the relay|mbsync, times the relay)\S*.*?\s{2,}([\d.]+) x", line)
        if name and match:
            factors[match.group(1)] = float(match.group(2))
            if match.group(1) == "times the relay":
                found.append((name, factors))
        match = re.match(r"  share of the relays' rate\s+([\d.]+) %", line)
        if name and match:
            factors["times the relay"] = 100.0 / float(match.group(1))
            found.append((name, factors))
        match = re.match(r"  mbsync, eight at a time\s+([\d.]+) s", line)
        if name and match:
            factors["mbsync, times the relay"] = float(match.group(1)) / relay
    return found


def place(factor):
    share = math.log(min(max(factor, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def draw(found):
    height = TOP + ROW * len(found) + 24
    title = "Time of a copy, against a bare relay of the same octets"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{title}" font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#ffffff" stroke="{GRID}"/>',
        f'<text x="20" y="30" fill="{TEXT}" font-size="16" font-weight="600">{title}</text>',
    ]
    for at, (name, colour) in enumerate((("mailhaul", OURS), ("mbsync", THEIRS))):
        x = WIDTH - 200 + at * 95
        out.append(f'<rect x="{x}" y="19" width="12" height="12" rx="2" fill="{colour}"/>')
        out.append(f'<text x="{x + 18}" y="30" fill="{DIM}">{name}</text>')
    factor = LEAST
    while factor <= MOST:
        x, is_one = place(factor), factor == 1
        out.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{height - 16}" '
            f'stroke="{TEXT if is_one else GRID}" stroke-width="1"/>'
        )
        label = "relay" if is_one else f"{factor:g} ×"
        out.append(f'<text x="{x:.1f}" y="{TOP - 18}" fill="{DIM}" font-size="11" text-anchor="middle">{label}</text>')
        factor *= 2
    for at, (name, factors) in enumerate(found):
        y = TOP + at * ROW
        out.append(
            f'<text x="{LEFT - 14}" y="{y + 20}" fill="{TEXT}" font-size="12" text-anchor="end">{html.escape(name)}</text>'
        )
        bars = [("times the relay", OURS), ("mbsync, times the relay", THEIRS)]
        for below, (key, colour) in enumerate(bar for bar in bars if bar[0] in factors):
            x, top = place(factors[key]), y + below * (BAR + 3)
            begin, end = sorted((place(1), x))
            out.append(
                f'<rect x="{begin:.1f}" y="{top}" width="{max(end - begin, 1.5):.1f}" height="{BAR}" rx="2" '
                f'fill="{colour}"/>'
            )
            out.append(
                f'<text x="{end + 6:.1f}" y="{top + 12}" fill="{DIM}" font-size="11">{factors[key]:.2f}</text>'
            )
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        found = rows(file.read())
    if not found:
        sys.exit(f"{sys.argv[1]}: no row in it was measured against a relay")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(found))


if __name__ == "__main__":
    main()
