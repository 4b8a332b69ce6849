"""Whatever run folders hold, the report is written, names what is bad, and nothing in it acts."""

import copy
import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from monarch_core.report.read.collect import collect_runs
from monarch_core.report.render import basis, fields, forest, lines
from monarch_core.report.render.page import write_report

N_REPORTS = 6  # for each file that is mutated, the last of them drawn to pixels
N_MUTATIONS = 17  # of that file, each in a folder of its own, in every report
EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    '=HYPERLINK("http://evil")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)",
    "a|b\nc\r\nd",
    "\x1b[31mred\x1b[0m\x07\x00",
    "\ud800 \u202e \u2028",
    "$$x_{$",
    "![x](http://evil/x.png) [y](javascript:alert(1)) `z`",
    "{{ 7 * 7 }}{% raw %}",
    "../../../etc/passwd",
    "\u9577\u3044\u540d\u524d",
    "x" * 100_000,
    "",
)
NUMBERS = (0, -1, True, 1e-320, 1e149, 1e308, -1e308, 10**400, float("nan"), float("inf"))
SHAPES = (None, [], {}, [[1, "a"], {}], {"name": "z"}, {"a": {"b": {"c": 1}}})
HEAD = {"html", "head", "meta", "title", "style", "body", "main", "header", "footer", "nav"}
TEXT = {"h1", "h2", "h3", "h4", "p", "ul", "li", "span", "div", "a", "section", "strong", "sup"}
PARTS = {"table", "thead", "tbody", "tr", "th", "td", "figure", "img", "figcaption", "details"}
ALLOWED = HEAD | TEXT | PARTS | {"summary", "dl", "dt", "dd", "pre"}
ATTRIBUTES = {"lang", "charset", "name", "content", "class", "style", "href", "id", "scope"}
ATTRIBUTES |= {"colspan", "src", "alt", "open", "aria-label", "http-equiv"}
ATTRIBUTES |= {"role", "tabindex", "data-label"}


class Page(HTMLParser):
    """Fails on every tag, attribute and address that the template does not have."""

    def __init__(self, html):
        super().__init__()
        self.words = []
        self.feed(html)
        self.close()
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attributes):
        assert tag in ALLOWED, tag
        for name, value in attributes:
            assert name in ATTRIBUTES, (tag, name)
            assert name != "src" or value.startswith("data:image/png;base64,")
            assert name != "href" or value.startswith("#")

    def handle_data(self, data):
        self.words.append(data)


def any_value(generator, value):
    """Return something else of any type, or the value itself wrapped into a shape it has not."""
    deep = value
    for _ in range(generator.choice([1, 60, 5000])):
        deep = [deep]
    choices = [*EVIL, *NUMBERS, *SHAPES, deep, {"a": value}]
    return choices[generator.integers(len(choices))]


def mutated_tree(generator, tree):
    """Return nested JSON with one node changed, removed, renamed or added."""
    tree = copy.deepcopy(tree)
    nodes = []

    def visit(node):
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            nodes.extend((node, key) for key in keys)
            for key in keys:
                visit(node[key])

    visit(tree)
    node, key = nodes[generator.integers(len(nodes))]
    match generator.integers(5):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[EVIL[generator.integers(len(EVIL))]] = node.pop(key)
        case 2 if isinstance(node, dict):
            node[EVIL[generator.integers(len(EVIL))]] = any_value(generator, node[key])
        case _:
            node[key] = any_value(generator, node[key])
    return tree


def mutated_bytes(generator, content):
    """Return bytes with bits flipped, a piece cut out, doubled, or replaced."""
    data = bytearray(content)
    start, stop = np.sort(generator.integers(0, len(data), 2))
    match generator.integers(6):
        case 0:
            return bytes(data[:start])
        case 1:
            del data[start:stop]
        case 2:
            data[start:start] = data[start:stop]
        case 3:
            return [b"[" * 100_000, b'{"a":' * 100_000, b"", b"\xff\xfe\x00", b"null"][
                generator.integers(5)
            ]
        case _:
            for place in generator.integers(0, len(data), generator.integers(1, 9)):
                data[place] ^= 1 << generator.integers(8)
    return bytes(data)


def dumps(tree):
    """Write JSON, nested as deep as it may be."""
    try:
        return json.dumps(tree).encode()
    except RecursionError:
        return b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"


def mutate_results(generator, folder):
    path = folder / "results.json"
    content = path.read_bytes()
    if generator.integers(4) == 0:
        path.write_bytes(mutated_bytes(generator, content))
    else:
        path.write_bytes(dumps(mutated_tree(generator, json.loads(content))))


def mutate_log(generator, folder):
    path = folder / "log.jsonl"
    if generator.integers(4) == 0:
        path.write_bytes(mutated_bytes(generator, path.read_bytes()))
        return
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_bytes(b"\n".join(map(dumps, mutated_tree(generator, rows))))


def mutate_failure(generator, folder):
    content = "\n".join(EVIL).encode("utf-8", "surrogatepass") + b"\nValueError: no"
    (folder / "failure.txt").write_bytes(mutated_bytes(generator, content))
    if generator.integers(2):
        (folder / "results.json").unlink()


def mutate_artifacts(generator, folder):
    path = folder / "artifacts.npz"
    if generator.integers(4) == 0:
        path.write_bytes(mutated_bytes(generator, path.read_bytes()))
        return
    with np.load(path) as file:
        arrays = dict(file)
    metadata = json.loads(arrays.pop("metadata").tobytes())
    if generator.integers(2):
        metadata = mutated_tree(generator, metadata)
    else:
        name = sorted(arrays)[generator.integers(len(arrays))]
        array = arrays[name]
        new = [
            np.full_like(array, np.nan),
            np.where(generator.random(array.shape) < 0.5, array, np.inf),
            1e305 * array,
            np.full(array.shape, 1e149) * generator.normal(size=array.shape),
            1e-320 * array,
            np.zeros_like(array),
            array.astype(np.float16),
            array.astype(">f8"),
            array.astype(np.float32) * np.float32(1e37),
            array[:0],
            array[..., :1],
            array.astype(object),
            array.astype(complex),
            array.astype(str),
            array > 0,
            np.array(3.0),
        ]
        arrays[name] = new[generator.integers(len(new))]
    arrays["metadata"] = np.frombuffer(dumps(metadata), dtype=np.uint8)
    with np.errstate(all="ignore"):
        np.savez_compressed(path, **arrays)


MUTATIONS = {
    "results": mutate_results,
    "log": mutate_log,
    "failure": mutate_failure,
    "artifacts": mutate_artifacts,
}


def assert_inert(out):
    """Check that nothing in a report acts, in a browser, a terminal, a spreadsheet or Markdown."""
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    for path in out.glob("tables/*"):
        text = path.read_bytes().decode("utf-8")
        assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", text) is None
        if path.suffix == ".md":
            assert not re.search(r"(?<!\\)(<|\]\(|`)", text), path
            heights = {
                len(re.findall(r"(?<!\\)\|", row)) for row in text.split("\n\n")[0].splitlines()
            }
            assert len(heights) == 1, path
        else:
            for cell in (cell for row in csv.reader(text.splitlines()) for cell in row):
                assert not cell.startswith(("=", "@", "\t", "\r"))
                assert not cell.startswith(("+", "-")) or re.fullmatch(r"[-+][\d.,e± %dB+-]+", cell)
    return page


def rows_of(out):
    with (out / "tables" / "runs.csv").open(encoding="utf-8", newline="") as file:
        return {row["folder"]: row for row in csv.DictReader(file)}


def tell_apart(folder, place):
    """Give a copy of a run a seed and a width of its own, so that it is read and drawn itself."""
    path = folder / "results.json"
    results = json.loads(path.read_text())
    results["seed"] = results["config"]["seed"] = place
    results["config"]["model"]["width"] = 16 + place // 4
    path.write_text(json.dumps(results))


@pytest.mark.parametrize("file", MUTATIONS)
def test_no_mutation_of_a_file_ends_the_report(runs, make_run, tmp_path, monkeypatch, file):
    good = make_run("fft", error=0.04, n_epochs=3, artifacts=True, name="good")
    sound = make_run("monarch", error=0.03, n_epochs=3, artifacts=True, name="sound")
    shutil.move(sound, tmp_path / "sound")
    out = tmp_path / "report"
    for report in range(N_REPORTS):
        bad = [runs / f"bad-{report}-{place}" for place in range(N_MUTATIONS)]
        for place, folder in enumerate(bad):
            shutil.copytree(tmp_path / "sound", folder)
            tell_apart(folder, place)
            MUTATIONS[file](np.random.default_rng([report, place, *file.encode()]), folder)
        with monkeypatch.context() as patch:
            if report < N_REPORTS - 1:  # drawing takes most of the time
                for module in (basis, fields, forest, lines):
                    patch.setattr(module, "png_of", lambda figure: b"png")
            write_report(collect_runs([runs]), out)
        text, rows = assert_inert(out).text, rows_of(out)
        assert float(rows[str(good)]["relative_l2"]) == 0.04
        for folder in bad:
            assert str(folder) in rows or str(folder) in text
            shutil.rmtree(folder)
