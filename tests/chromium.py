"""A real browser for the tests: Chromium without a window, spoken to through two pipes.

The protocol is that of its developer tools (https://chromedevtools.github.io/devtools-protocol);
its messages are JSON, each ended by a zero byte.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field

PHONE = 390  # pixels across
_MOST_LETTERS = 200  # of an error, which may name an image by all its bytes
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)
# Chromium reads commands from descriptor 3 and writes to 4.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in zip((3, 4), ends):
    os.dup2(end, number)
os.execvp(sys.argv[3], sys.argv[3:])
"""
# What is wider than the page, unless it scrolls inside a box of its own or floats beside it, and
# images without pixels.
_LOOK = """
(async () => {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  await Promise.all(images.map(image => image.decode().catch(() => null)));
  const name = element => element.tagName.toLowerCase() + (element.id && "#" + element.id)
    + [...element.classList].map(word => "." + word).join("");
  const floats = element => element
    && (getComputedStyle(element).position === "fixed" || floats(element.parentElement));
  const scrolls = element => element && element !== document.documentElement
    && (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(element).overflowX)
        || scrolls(element.parentElement));
  const wide = [...document.body.querySelectorAll("*")].filter(element =>
    element.getBoundingClientRect().right > WIDTH + 0.5 && !scrolls(element.parentElement)
    && !scrolls(element) && !floats(element));
  return {
    width: document.documentElement.scrollWidth,
    wide: wide.map(name),
    n_images: images.length,
    broken: images.filter(image => !image.naturalWidth).map(image => image.alt || image.src),
    unnamed: images.filter(image => !image.alt.trim()).map(image => image.src.slice(0, 80)),
    links: [...document.querySelectorAll("a[href]")].map(link => link.href),
  };
})()
"""


@dataclass
class Seen:
    """What a browser says of a page.

    Attributes:
        errors: of the console, and what could not be loaded.
        width: of the page in pixels.
        wide: elements that reach beyond the right edge.
        n_images: how many images it has.
        broken: those without pixels.
        unnamed: those without a text for readers who do not see them.
        links: where its links lead.
    """

    width: int
    wide: list[str]
    n_images: int
    broken: list[str]
    unnamed: list[str]
    links: list[str]
    errors: list[str] = field(default_factory=list)


class Chromium:
    """One browser, to be closed; pages are looked at one after the other."""

    def __init__(self, home):
        program = find()
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        launch = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out)]
        self._process = subprocess.Popen(
            [*launch, program, *_FLAGS, f"--user-data-dir={home}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._n_sent, self._events = b"", 0, []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._tell(f"{domain}.enable")

    def look_at(self, path, width=PHONE, height=844):
        """Open a file on a screen of some width and return what is to be seen."""
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._events.clear()
        self._tell("Page.navigate", url=path.resolve().as_uri())
        self._wait_for("Page.loadEventFired")
        seen = self._evaluate(_LOOK.replace("WIDTH", str(width)))
        return Seen(**seen, errors=self._errors())

    def picture(self):
        """Return the whole page as PNG, in base64."""
        size = self._tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self._tell("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return answer["data"]

    def close(self):
        with contextlib.suppress(OSError):
            self._call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _evaluate(self, expression):
        answer = self._tell(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "value" in answer["result"], answer
        return answer["result"]["value"]

    def _errors(self):
        found = []
        for event in self._events:
            told = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(told["exceptionDetails"]["text"])
            elif event["method"] == "Log.entryAdded" and told["entry"]["level"] == "error":
                found.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and told["type"] == "error":
                found.append(" ".join(str(part.get("value")) for part in told["args"]))
        return [text[:_MOST_LETTERS] for text in found]

    def _tell(self, method, **parameters):
        """Call a method of the page."""
        return self._call(method, self._session, **parameters)

    def _call(self, method, session=None, **parameters):
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._n_sent:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._events.append(answer)

    def _wait_for(self, method, seconds=20):
        deadline = time.monotonic() + seconds
        while not any(event["method"] == method for event in self._events):
            assert time.monotonic() < deadline, f"no {method} within {seconds} s"
            self._events.append(self._read())

    def _read(self):
        while b"\0" not in self._buffer:
            piece = os.read(self._from, 1 << 16)
            if not piece:
                raise OSError(f"Chromium left with status {self._process.wait()}")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def find():
    """Return the program of a browser, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)
