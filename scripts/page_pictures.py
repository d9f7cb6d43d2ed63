#!/usr/bin/env python3
"""Pictures of the page, by Chromium without a window: page_pictures.py CHROMIUM URL TOKEN FOLDER PATH=NAME...

Each page is taken at three widths, light and dark. Chromium is spoken to over a pipe (the DevTools protocol), so that
nothing but the standard library is needed, and no port is opened. Ends with 1 if a page threw an error, wrote into the
console, or was wider than its window.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time

WIDTHS = {"phone": 390, "tablet": 820, "desk": 1440}


class Browser:
    """A Chromium, and one page in it."""

    def __init__(self, chromium):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()

        def lay_descriptors():
            # Chromium reads from descriptor 3 and writes to 4; neither may be in use while the other is moved.
            first, second = os.dup(to_read), os.dup(from_write)
            low, high = (first, second) if first > 4 and second > 4 else (os.dup(first), os.dup(second))
            os.dup2(low, 3)
            os.dup2(high, 4)

        self.process = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={self.profile.name}"],
            preexec_fn=lay_descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.number, self.rest, self.session, self.events = 0, b"", None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            octets = os.read(self.from_read, 1 << 20)
            if not octets:
                sys.exit("Chromium has gone")
            self.rest += octets
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to_write, json.dumps(request).encode() + b"\0")
        while True:
            told = self.message()
            if told.get("id") == self.number:
                if "error" in told:
                    sys.exit(f"{method}: {told['error']}")
                return told["result"]
            self.events.append(told)

    def wait_for(self, method):
        while True:
            for place, told in enumerate(self.events):
                if told.get("method") == method:
                    del self.events[place]
                    return told
            self.events.append(self.message())

    def go(self, url):
        self.events = [told for told in self.events if told.get("method") != "Page.loadEventFired"]
        self.ask("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def value(self, script):
        told = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return told.get("result", {}).get("value")

    def troubles(self):
        bad = {"Runtime.exceptionThrown", "Log.entryAdded"}
        told = [told["params"] for told in self.events if told.get("method") in bad]
        # What Chromium merely recommends is no trouble.
        return [one for one in told if one.get("entry", {}).get("level") != "verbose"]

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.profile.cleanup()


def main():
    chromium, url, token, folder, *pages = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    browser = Browser(chromium)
    browser.ask("Page.navigate", url=f"{url}/sign-in#{token}")
    # The page signs in by itself, perhaps before it was loaded to its end.
    for _ in range(200):
        if browser.value("!!document.querySelector('.who')"):
            break
        time.sleep(0.1)
    else:
        sys.exit("the sign-in did not lead to the overview")
    failed = 0
    for page in pages:
        path, name = page.rsplit("=", 1)
        for kind, width in WIDTHS.items():
            for scheme in ("light", "dark"):
                browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                            mobile=kind == "phone")
                browser.ask("Emulation.setEmulatedMedia",
                            features=[{"name": "prefers-color-scheme", "value": scheme}])
                browser.events = []
                browser.go(url + path)
                # The letters are there, and the page has looked at itself once.
                browser.value("document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 300)))")
                broad = browser.value("document.documentElement.scrollWidth - window.innerWidth")
                height = browser.value("Math.min(document.documentElement.scrollHeight, 2400)")
                browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=max(height, 600),
                            deviceScaleFactor=1, mobile=kind == "phone")
                shot = browser.ask("Page.captureScreenshot", format="png")
                file = os.path.join(folder, f"{name}-{kind}-{scheme}.png")
                with open(file, "wb") as out:
                    out.write(base64.b64decode(shot["data"]))
                troubles = browser.troubles()
                if broad > 0 or troubles:
                    failed = 1
                    print(f"{name} {kind} {scheme}: {broad} px too wide, {troubles}", file=sys.stderr)
    browser.end()
    sys.exit(failed)


if __name__ == "__main__":
    main()
