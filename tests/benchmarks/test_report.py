"""Tables and the figure of made-up measurements."""

import json

import matplotlib.pyplot as plt
import pytest

from benchmarks.report import draw_modes, main, same_in_all, table

MACHINE = {"device": "Abacus", "threads": 1, "torch": "2.13.0", "rounds": 3}


def timed(contender, milliseconds, ratio, **facts):
    facts = {"grid": [32, 32], "modes": 4, "batch": 2, "pass": "training", **facts}
    quartiles = [0.9 * ratio, 1.1 * ratio]
    numbers = {"milliseconds": milliseconds, "spread": 0.1, "ratio": ratio}
    return {**facts, "contender": contender, **numbers, "ratio_quartiles": quartiles}


def sweep():
    return [
        timed(name, 8.0 / ratio, ratio, grid=[n, n], modes=m)
        for n in (32, 64)
        for m in (8, 4)
        for name, ratio in (("torch.fft", 1.0), ("ours, frozen", 2.5), ("ours, learned", 8.0 / m))
    ]


def test_a_line_per_case_and_a_column_per_contender():
    rows = [timed("torch.fft", 12.346, 1.0), timed("ours", 5.0, 2.4691)]
    rows += [timed("torch.fft", 100.0, 1.0, batch=1), timed("ours", 200.0, 0.5, batch=1)]
    assert table(rows).splitlines() == [
        "| batch | torch.fft | ours |",
        "| --- | ---: | ---: |",
        "| 2 | 12.3 | 5 (2.47) |",
        "| 1 | 100 | 200 (0.50) |",
    ]
    assert same_in_all(rows) == "In all rows: grid 32 x 32, modes 4, pass training. "


def test_what_tells_cases_apart_stands_in_one_column():
    rows = [timed("torch.fft", 1.0, 1.0, grid=[n], modes=m) for n, m in ((32, 4), (64, 8))]
    assert table(rows).splitlines()[0] == "| grid, modes | torch.fft |"
    assert table(rows).splitlines()[-1] == "| 64, 8 | 1 |"


def test_memory_data_and_differences():
    memory = [
        {"grid": [8], "contender": "neuralop", "peak_bytes": 2**30, "share": 1.0},
        {"grid": [8], "contender": "ours", "peak_bytes": 2**29, "share": 0.5},
    ]
    assert table(memory).endswith("| 1024 MiB (1.00) | 512 MiB (0.50) |")
    data = [
        {"contender": "recipe", "seconds": 4000.0},
        {"contender": "ours", "seconds": 2.0},
    ]
    assert table(data).endswith("| 4e+03 s | 2 s (2000) |")
    low = [timed(name, 1.0, 1.0, relative_difference=3.21e-3) for name in ("float32", "bfloat16")]
    assert table(low).splitlines()[0].endswith("| float32 | bfloat16 | relative difference |")
    assert table(low).endswith("| 3.2e-03 |")


def test_rows_without_contenders_are_one_line_each():
    rows = [{"what": "copy", "fft_ms": 21.234, "blocks": [8, 16]}]
    assert table(rows).splitlines() == [
        "| what | fft ms | blocks |",
        "| --- | ---: | --- |",
        "| copy | 21.2 | 8 x 16 |",
    ]


def test_the_figure_has_a_line_per_grid_and_kind_in_the_order_of_the_modes():
    axes = draw_modes(sweep()).axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["64 x 64, learned"] == [[4, 2.0], [8, 1.0]]
    assert lines["32 x 32, frozen"] == [[4, 2.5], [8, 2.5]]
    level = axes.get_lines()[-1]
    assert set(level.get_ydata()) == {1}
    assert len(lines) == 5
    assert not plt.get_fignums()


@pytest.fixture
def folder(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    for name, rows in {"sweep": sweep(), "layer": [timed("torch.fft", 1.0, 1.0)]}.items():
        (results / f"{name}.json").write_text(json.dumps({**MACHINE, "rows": rows}))
    return results


def test_prose_around_the_markers_stays(folder, capsys):
    out = folder.parent / "docs" / "speed.md"
    assert main([str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    first = out.read_text()
    assert "Abacus, CPU threads: 1, torch 2.13.0, rounds: 3." in first
    assert "](figures/speed_modes.png)" in first
    assert (out.parent / "figures" / "speed_modes.png").stat().st_size > 1000
    out.write_text(first.replace("# Speed\n", "# Speed\n\nMy own words.\n"))
    rows = [timed("torch.fft", 77.0, 1.0)]
    (folder / "layer.json").write_text(json.dumps({**MACHINE, "rows": rows}))
    assert main([str(folder), "--out", str(out)]) == 0
    second = out.read_text()
    assert "My own words." in second
    assert "| 77 |" in second
    assert second.count("<!-- layer -->") == 1


def test_errors(folder, tmp_path, capsys):
    out = tmp_path / "speed.md"
    assert main([str(tmp_path / "nothing"), "--out", str(out)]) == 1
    assert "holds none of layer.json" in capsys.readouterr().err
    out.write_text("# Speed\n")
    assert main([str(folder), "--out", str(out)]) == 1
    assert "0 lines '<!-- layer -->'" in capsys.readouterr().err
