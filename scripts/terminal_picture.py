#!/usr/bin/env python3
"""Runs a command in a terminal of its own and draws what stands there in the end as SVGs.

    scripts/terminal_picture.py OUTPUT.svg... -- COMMAND [ARGUMENT...]

The drawings are real recordings: the bytes that the command wrote, put through a small terminal. Only what would not fit
into a picture is left out: of the parts of the demonstration those that PICTURES names are drawn, and of a table of
mailboxes the lines in TELLING, with a line that says how many more there were. Needs nothing but Python 3.9;
`make picture` calls it.
"""

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import unicodedata

COLUMNS = 120
# What is drawn into a file of this name: a title, and parts of the demonstration.
PICTURES = {
    "copy.svg": ("mailhaul copy, killed and resumed, and kept up with", (3, 4, 8, 9, 11, 13)),
    "wave.svg": ("mailhaul run, killed and resumed, and a password mended", (14, 16, 17, 18, 19, 20)),
}
# And of its tables of mailboxes those that tell most.
TELLING = ("INBOX  ", "Archive.2019  ", "Case", "Gesendete", "Large", "Lists", "café", "emoji", "日本語")

# Geometry in pixels: DejaVu Sans Mono and its likes are 0.602 em wide.
FONT = 14
CELL = 8.43
LINE = 20
MARGIN = 22
BAR = 38

BACKGROUND, FRAME, TITLE, PLAIN, DIM = "#12161d", "#262d38", "#8b95a5", "#d5dbe5", "#6b7585"
COLOURS = {1: "#f07178", 2: "#9ccf6a", 3: "#e5c07b", 4: "#6cb2f7", 5: "#c792ea", 6: "#62c9d8", 7: PLAIN}


class Style(tuple):
    """Colour number or None, bold, dim."""

    def __new__(cls, colour=None, bold=False, dim=False):
        return super().__new__(cls, (colour, bold, dim))

    def sgr(self, codes):
        colour, bold, dim = self
        for code in codes or [0]:
            if code == 0:
                colour, bold, dim = None, False, False
            elif code == 1:
                bold = True
            elif code == 2:
                dim = True
            elif code == 22:
                bold = dim = False
            elif 30 <= code <= 37:
                colour = code - 30
            elif 90 <= code <= 97:
                colour = code - 90
            elif code == 39:
                colour = None
        return Style(colour, bold, dim)


class Terminal:
    """As many lines as are needed, COLUMNS wide; knows the sequences that a progress display uses."""

    ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")

    def __init__(self):
        self.lines = [{}]
        # Rows that go on with a line too long for the terminal.
        self.continued = set()
        self.row = self.column = 0
        self.style = Style()

    def feed(self, text):
        at = 0
        while at < len(text):
            escape = self.ESCAPE.match(text, at)
            if escape:
                self.control(escape.group(1), escape.group(2))
                at = escape.end()
            else:
                self.put(text[at])
                at += 1

    def control(self, parameters, name):
        numbers = [int(number) for number in parameters.strip("?").split(";") if number]
        count = numbers[0] if numbers else 1
        if name == "m":
            self.style = self.style.sgr(numbers)
        elif name == "A":
            self.row = max(0, self.row - count)
        elif name == "B":
            self.go_to(self.row + count)
        elif name == "C":
            self.column = min(COLUMNS - 1, self.column + count)
        elif name == "D":
            self.column = max(0, self.column - count)
        elif name == "G":
            self.column = count - 1
        elif name == "K":
            self.erase(numbers[0] if numbers else 0)
        elif name == "J":
            self.erase(0)
            del self.lines[self.row + 1:]

    def erase(self, what):
        line = self.lines[self.row]
        keep = {0: lambda at: at < self.column, 1: lambda at: at > self.column}.get(what, lambda at: False)
        self.lines[self.row] = {at: cell for at, cell in line.items() if keep(at)}

    def go_to(self, row):
        self.row = row
        while len(self.lines) <= row:
            self.lines.append({})

    def put(self, letter):
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.go_to(self.row + 1)
            self.continued.discard(self.row)
        elif ord(letter) >= 32:
            width = width_of(letter)
            if width == 0:
                before = max((at for at in self.lines[self.row] if at < self.column), default=None)
                if before is not None:
                    text, style, cells = self.lines[self.row][before]
                    self.lines[self.row][before] = (text + letter, style, cells)
                return
            if self.column + width > COLUMNS:
                self.column = 0
                self.go_to(self.row + 1)
                self.continued.add(self.row)
            self.lines[self.row][self.column] = (letter, self.style, width)
            self.column += width


def width_of(letter):
    if unicodedata.combining(letter) or letter in "\u200d\ufe0f" or "\U0001f3fb" <= letter <= "\U0001f3ff":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def record(command):
    """Runs the command on a terminal and returns what it wrote; its failure is ours."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 1000, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment.update(TERM="xterm-256color", LANG="C.UTF-8", COLUMNS=str(COLUMNS))
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    octets = bytearray()
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says so when the last writer is gone.
            break
        if not part:
            break
        octets += part
    code = process.wait()
    text = octets.decode("utf-8", "replace")
    if code != 0:
        sys.exit(f"{command[0]} ended with {code}:\n{text}")
    return text


def text_of(line):
    text, column = "", 0
    for at in sorted(line):
        text += " " * (at - column) + line[at][0]
        column = at + line[at][2]
    return text.rstrip()


def note(text):
    return {at: (letter, Style(dim=True), 1) for at, letter in enumerate(text)}


def chosen(terminal, parts):
    """The lines to draw."""
    part, left_out, drawn, in_table, out = 0, 0, False, False, []
    for row, line in enumerate(terminal.lines):
        if row not in terminal.continued:
            text = text_of(line) + "  "
            heading = re.match(r"(\d+)\. ", text)
            part = int(heading.group(1)) if heading else part
            in_table = "  ->  " in text
            telling = not in_table or any(word in text for word in TELLING)
            drawn = part in parts and telling
            left_out += part in parts and not telling
            if left_out and not in_table:
                out.append(note(f"  … and {left_out} more mailboxes"))
                left_out = 0
        if drawn:
            out.append(line)
    while out and not text_of(out[0]):
        out.pop(0)
    while out and not text_of(out[-1]):
        out.pop()
    return out


def runs(line):
    """Neighbouring cells of one style; a wide letter stands alone, so that no font can shift what follows."""
    run = None
    for at in sorted(line):
        letter, style, width = line[at]
        if run and run[2] == style and width == 1 and run[3] == 1 and run[0] + len(run[1]) == at and len(letter) == 1:
            run[1] += letter
            continue
        if run:
            yield run
        run = [at, letter, style, width]
    if run:
        yield run


def draw(lines, title):
    width = round(COLUMNS * CELL + 2 * MARGIN)
    height = len(lines) * LINE + BAR + 2 * MARGIN - 8
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{html.escape(title)}">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="10" fill="{BACKGROUND}" stroke="{FRAME}"/>',
        f'<path d="M0 {BAR}V10a10 10 0 0 1 10-10H{width - 10}a10 10 0 0 1 10 10V{BAR}Z" fill="{FRAME}"/>',
    ]
    for at, colour in enumerate(("#f0615a", "#f2bd42", "#5fc454")):
        out.append(f'<circle cx="{22 + at * 20}" cy="{BAR / 2:g}" r="6" fill="{colour}"/>')
    out.append(
        f'<text x="{width / 2:g}" y="{BAR / 2 + 5:g}" fill="{TITLE}" font-size="13" text-anchor="middle" '
        f'font-family="system-ui, \'DejaVu Sans\', sans-serif">{html.escape(title)}</text>'
    )
    out.append(
        f'<g font-family="ui-monospace, \'SF Mono\', Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="{FONT}" fill="{PLAIN}" xml:space="preserve">'
    )
    for row, line in enumerate(lines):
        y = BAR + MARGIN + 6 + row * LINE
        for at, text, (colour, bold, dim), cells in runs(line):
            if not text.strip():
                continue
            start = at + len(text) - len(text.lstrip())
            text = text.strip()
            length = (len(text) if cells == 1 else 2) * CELL
            fill = COLOURS.get(colour, PLAIN) if colour is not None else (DIM if dim else None)
            style = (f' fill="{fill}"' if fill else "") + (' font-weight="bold"' if bold else "")
            if dim and colour is not None:
                style += ' opacity="0.45"'
            # Every run is made to fill its cells, whatever font there is.
            fit = "" if any(unicodedata.combining(letter) for letter in text) or cells == 2 else (
                f' textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"')
            x = MARGIN + start * CELL
            # Browsers make one blank of several, whatever xml:space says.
            text = html.escape(text, quote=False).replace("  ", "\u00a0\u00a0")
            out.append(f'<text x="{x:.1f}" y="{y}"{fit}{style}>{text}</text>')
    out += ["</g>", "</svg>", ""]
    return "\n".join(out)


def main():
    if "--" not in sys.argv[2:-1]:
        sys.exit(__doc__)
    end = sys.argv.index("--")
    outputs, command = sys.argv[1:end], sys.argv[end + 1:]
    unknown = [output for output in outputs if os.path.basename(output) not in PICTURES]
    if unknown:
        sys.exit(f"nothing is known of a picture {unknown[0]}; the names are {', '.join(PICTURES)}")
    terminal = Terminal()
    terminal.feed(record(command))
    for output in outputs:
        title, parts = PICTURES[os.path.basename(output)]
        picture = draw(chosen(terminal, parts), title)
        os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
        with open(output, "w", encoding="utf-8") as file:
            file.write(picture)
        print(f"picture: {output}, {len(picture) // 1024} KiB")


if __name__ == "__main__":
    main()
